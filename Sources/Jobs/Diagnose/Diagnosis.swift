import Checkpoints
import Safetensors

/// What `diagnose` found.
public struct Diagnosis: Sendable {
    struct Matrix: Sendable {
        let module: LinearModule
        let spectrum: SpectrumShape
        /// Of W L with LLᵀ the moment of the inputs; nil without statistics.
        let activations: SpectrumShape?
        let outliers: EntryOutliers
    }

    enum TieKind: String, Sendable, CaseIterable {
        case layers, heads, experts
    }

    /// Matrices, or parts of one, that a tensor form would tie.
    struct Tie: Sendable {
        let kind: TieKind
        let role: ModuleRole
        let layer: Int?
        let name: String
        let members: Int
        let inputs: SubspaceOverlap?
        let outputs: SubspaceOverlap?
        /// Relative error of a common basis within the share, and of factors of their own.
        var sharedError: Double?
        var ownError: Double?
    }

    /// What may be expected of a tie for one role.
    struct Verdict: Sendable {
        let kind: TieKind
        let role: ModuleRole
        let ties: Int
        /// Means; of the side that is the same more often.
        let measured: Double
        let chance: Double
        let sharing: Double
        let sharedError: Double?
        let ownError: Double?
        let sentence: String
    }

    /// What low-rank forms may be expected to do with the matrices of a role: means over them.
    struct RoleSummary: Sendable {
        let role: ModuleRole
        let matrices: Int
        /// Effective rank over the smaller side.
        let spread: Double
        /// Numbers of factors that keep 90 % of the energy, over those of the dense matrix, and without redundant ones.
        let factors: Double
        let pivots: Double
        /// The same factors where the energy is that of what the layer makes of its inputs; nil without statistics.
        let activationFactors: Double?
        let outliers: Int

        /// nil where low-rank forms save something at 90 % of the energy, or much less is known of the inputs.
        var sentence: String? {
            guard (activationFactors ?? factors) >= 1 else { return nil }
            return "factors that keep 90 % of the energy would be no smaller than the matrix"
                + (pivots < 1 ? ", pivots just so" : "") + ": expect single entries (saten) to do better"
        }
    }

    public let checkpoint: Checkpoint
    let matrices: [Matrix]
    let ties: [Tie]
    let keep: Double

    /// Below this share of the way from chance to equality, what is tied is unrelated.
    static let relatedSharing = 0.2

    /// One for every role, in the order of the model.
    var roles: [RoleSummary] {
        ModuleRole.allCases.compactMap { role in
            let members = matrices.filter { $0.module.role == role }
            return members.isEmpty ? nil : RoleSummary(role, members)
        }
    }

    /// One for every kind and role, in the order of the model.
    var verdicts: [Verdict] {
        TieKind.allCases.flatMap { kind in
            ModuleRole.allCases.compactMap { role in verdict(ties.filter { $0.kind == kind && $0.role == role }) }
        }
    }

    private func verdict(_ ties: [Tie]) -> Verdict? {
        guard let first = ties.first else { return nil }
        func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(max(values.count, 1)) }
        let sides = [ties.compactMap(\.inputs), ties.compactMap(\.outputs)].filter { !$0.isEmpty }
        guard let best = sides.max(by: { mean($0.map(\.sharing)) < mean($1.map(\.sharing)) }) else { return nil }
        let sharing = mean(best.map(\.sharing))
        let shared = ties.compactMap(\.sharedError), own = ties.compactMap(\.ownError)
        return Verdict(
            kind: first.kind, role: first.role, ties: ties.count, measured: mean(best.map(\.measured)),
            chance: mean(best.map(\.chance)), sharing: sharing, sharedError: shared.isEmpty ? nil : mean(shared),
            ownError: own.isEmpty ? nil : mean(own),
            sentence: Self.sentence(first.kind, sharing, shared: shared.isEmpty ? nil : mean(shared), own: mean(own)))
    }

    private static func sentence(_ kind: TieKind, _ sharing: Double, shared: Double?, own: Double) -> String {
        if let shared {
            return shared < own
                ? "a shared basis loses less than factors of their own"
                : "a shared basis loses more than factors of their own: compress them apart"
        }
        return sharing < relatedSharing
            ? "unrelated: expect a Tucker form over \(kind.rawValue) to lose to the SVD of each matrix"
            : "related: a Tucker form over \(kind.rawValue) may pay"
    }
}

extension Diagnosis.RoleSummary {
    init(_ role: ModuleRole, _ members: [Diagnosis.Matrix]) {
        func mean(_ value: (Diagnosis.Matrix) -> Double) -> Double {
            members.reduce(0) { $0 + value($1) } / Double(max(members.count, 1))
        }
        func share(_ rank: Int, _ module: LinearModule, pivots: Bool = false) -> Double {
            Double(rank * (module.outFeatures + module.inFeatures - (pivots ? rank : 0)))
                / Double(max(module.parameters, 1))
        }
        self.role = role
        matrices = members.count
        spread = mean { $0.spectrum.effectiveRank / Double(max(min($0.module.outFeatures, $0.module.inFeatures), 1)) }
        factors = mean { share($0.spectrum.rankKeeping90, $0.module) }
        pivots = mean { share($0.spectrum.rankKeeping90, $0.module, pivots: true) }
        let seen = members.compactMap { matrix in matrix.activations.map { share($0.rankKeeping90, matrix.module) } }
        activationFactors = seen.isEmpty ? nil : seen.reduce(0, +) / Double(seen.count)
        outliers = members.reduce(0) { $0 + $1.outliers.count }
    }
}

// MARK: JSON

extension Diagnosis {
    public var json: JSON {
        [
            "architecture": JSON(checkpoint.architecture?.name ?? checkpoint.modelType ?? "unknown"),
            "parameters": JSON(checkpoint.parameterCount), "keep": JSON(keep),
            "matrices": .array(matrices.map(Self.json)), "roles": .array(roles.map(Self.json)),
            "ties": .array(ties.map(Self.json)),
            "verdicts": .array(verdicts.map(Self.json)),
        ]
    }

    private static func json(_ matrix: Matrix) -> JSON {
        let module = matrix.module
        return [
            "name": JSON(module.name), "role": JSON(module.role.rawValue),
            "layer": module.layer.map { JSON($0) } ?? .null, "shape": JSON([module.outFeatures, module.inFeatures]),
            "spectrum": json(matrix.spectrum), "activations": matrix.activations.map(json) ?? .null,
            "outliers": [
                "largest": JSON(matrix.outliers.largest), "row": JSON(matrix.outliers.row),
                "column": JSON(matrix.outliers.column), "count": JSON(matrix.outliers.count),
                "energy": JSON(matrix.outliers.energy),
            ],
        ]
    }

    private static func json(_ shape: SpectrumShape) -> JSON {
        [
            "effective_rank": JSON(shape.effectiveRank), "rank_90": JSON(shape.rankKeeping90),
            "rank_99": JSON(shape.rankKeeping99), "bulk_edge": JSON(shape.bulkEdge), "spikes": JSON(shape.spikes),
            "spike_energy": JSON(shape.spikeEnergy),
        ]
    }

    private static func json(_ tie: Tie) -> JSON {
        func overlap(_ overlap: SubspaceOverlap?) -> JSON {
            overlap.map {
                ["measured": JSON($0.measured), "chance": JSON($0.chance), "sharing": JSON($0.sharing)]
            } ?? .null
        }
        return [
            "kind": JSON(tie.kind.rawValue), "role": JSON(tie.role.rawValue),
            "layer": tie.layer.map { JSON($0) } ?? .null, "name": JSON(tie.name), "members": JSON(tie.members),
            "inputs": overlap(tie.inputs), "outputs": overlap(tie.outputs),
            "shared_error": tie.sharedError.map { JSON($0) } ?? .null,
            "own_error": tie.ownError.map { JSON($0) } ?? .null,
        ]
    }

    private static func json(_ role: RoleSummary) -> JSON {
        [
            "role": JSON(role.role.rawValue), "matrices": JSON(role.matrices), "spread": JSON(role.spread),
            "factors_90": JSON(role.factors), "pivots_90": JSON(role.pivots),
            "activation_factors_90": role.activationFactors.map { JSON($0) } ?? .null,
            "outliers": JSON(role.outliers), "sentence": role.sentence.map { JSON($0) } ?? .null,
        ]
    }

    private static func json(_ verdict: Verdict) -> JSON {
        [
            "kind": JSON(verdict.kind.rawValue), "role": JSON(verdict.role.rawValue), "ties": JSON(verdict.ties),
            "measured": JSON(verdict.measured), "chance": JSON(verdict.chance), "sharing": JSON(verdict.sharing),
            "shared_error": verdict.sharedError.map { JSON($0) } ?? .null,
            "own_error": verdict.ownError.map { JSON($0) } ?? .null, "sentence": JSON(verdict.sentence),
        ]
    }
}
