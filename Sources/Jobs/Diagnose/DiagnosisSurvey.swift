import Checkpoints
import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore
import Planning
import SVDCompression

/// Goes through the matrices of a model in their order and remembers of each what its partners need.
struct DiagnosisSurvey {
    private let checkpoint: Checkpoint
    private let objectives: ObjectiveSource
    private let keep: Double
    private var matrices: [Diagnosis.Matrix] = []
    private var ties: [Diagnosis.Tie] = []
    /// The last matrix of each kind, which the next block's is held against.
    private var previous: [Kind: Seen] = [:]
    /// Subspaces of the experts of a block, by projection.
    private var experts: [Kind: (layer: Int, bases: [LeadingSubspaces])] = [:]

    /// Matrices that differ in their block only.
    private struct Kind: Hashable {
        let role: ModuleRole
        let expert: Int?
        let outFeatures: Int
        let inFeatures: Int
    }

    private struct Seen {
        let module: LinearModule
        let subspaces: LeadingSubspaces
        /// ‖W L‖² and what factors of its own lose of it.
        let own: (norm: Double, lost: Double)
    }

    init(_ checkpoint: Checkpoint, _ objectives: ObjectiveSource, keep: Double) {
        self.checkpoint = checkpoint
        self.objectives = objectives
        self.keep = keep
    }

    mutating func add(_ module: LinearModule) throws {
        let weight = try checkpoint.finiteWeight(of: module)
        let rank = LeadingSubspaces.rank(module.outFeatures, module.inFeatures)
        let svd = try TruncatedSVD().decompose(weight.matrix, rank: rank)
        let subspaces = LeadingSubspaces(outputs: svd.u, inputs: svd.v)
        let plain = SpectrumShape(svd.singularValues, rows: module.outFeatures, columns: module.inFeatures)
        let objective = try objectives.objective(for: module, weight: weight.matrix, factors: nil)
        var values = svd.singularValues
        var seen: SpectrumShape?
        if !objective.isPlain {
            values = try TruncatedSVD().spectrum(objective.inputs.weighted(weight.matrix))
            seen = SpectrumShape(values, rows: module.outFeatures, columns: module.inFeatures)
        }
        matrices.append(
            Diagnosis.Matrix(
                module: module, spectrum: plain, activations: seen, outliers: EntryOutliers(weight.matrix)))
        try addHeads(of: module, weight.matrix)
        let own = loss(of: values, module)
        if module.expert == nil { try addPair(module, subspaces, own) } else { addExpert(module, subspaces) }
    }

    /// The result; to be called once, at the end.
    mutating func diagnosis() throws -> Diagnosis {
        for kind in experts.keys { closeExperts(kind) }
        return Diagnosis(checkpoint: checkpoint, matrices: matrices, ties: ties, keep: keep)
    }

    // MARK: Neighbouring blocks

    private mutating func addPair(
        _ module: LinearModule, _ subspaces: LeadingSubspaces, _ own: (norm: Double, lost: Double)
    ) throws {
        let kind = Kind(
            role: module.role, expert: nil, outFeatures: module.outFeatures, inFeatures: module.inFeatures)
        defer { previous[kind] = Seen(module: module, subspaces: subspaces, own: own) }
        guard let before = previous[kind], let layer = module.layer, before.module.layer == layer - 1 else { return }
        var tie = Diagnosis.Tie(
            kind: .layers, role: module.role, layer: layer, name: module.name, members: 2,
            inputs: SubspaceOverlap([before.subspaces.inputs, subspaces.inputs]),
            outputs: SubspaceOverlap([before.subspaces.outputs, subspaces.outputs]))
        let norm = before.own.norm + own.norm
        if let lost = try sharedLoss([before.module, module]), norm > 0 {
            tie.sharedError = (lost / norm).squareRoot()
            tie.ownError = ((before.own.lost + own.lost) / norm).squareRoot()
        }
        ties.append(tie)
    }

    /// Squared norm in the objective, and what factors within the share lose of it.
    private func loss(of values: [Double], _ module: LinearModule) -> (norm: Double, lost: Double) {
        let squares = values.map { $0 * $0 }
        let rank = Int(keep * Double(module.parameters)) / (module.outFeatures + module.inFeatures)
        return (squares.reduce(0, +), squares.dropFirst(max(1, rank)).reduce(0, +))
    }

    /// What two matrices lose in a common basis within the same share; nil where that saves nothing.
    private func sharedLoss(_ modules: [LinearModule]) throws -> Double? {
        let tasks = try modules.map { module in
            CompressionTask(
                member: PlannedGroup.member(module, of: checkpoint, factorType: .float32),
                objective: try objectives.objective(
                    for: module, weight: try checkpoint.finiteWeight(of: module).matrix, factors: nil))
        }
        guard tasks.allSatisfy({ $0.member.stored == nil }) else { return nil }
        let compressor = try SVDCompressor(MethodSettings(values: ["share-layers": "\(tasks.count)"]))
        var lost = 0.0
        for (task, outcome) in zip(tasks, try compressor.compress(tasks, budget: .keep(keep))) {
            guard case .compressed(let found, _) = outcome else { return nil }
            let error = task.objective.relativeError(of: found)
            lost += error * error * task.objective.squaredNorm(of: task.objective.target)
        }
        return lost
    }

    // MARK: Heads and experts

    /// Leading directions of the heads of a projection, on the side that they have in common.
    private mutating func addHeads(of module: LinearModule, _ weight: MatrixOperand) throws {
        let member = PlannedGroup.member(module, of: checkpoint, factorType: nil)
        guard let split = member.heads, split.count > 1 else { return }
        let upright = split.axis == .outputs ? weight : weight.transposed
        let width = upright.rows / split.count, rank = max(1, min(width, upright.columns) / 4)
        let bases = try (0..<split.count).map { head in
            try TruncatedSVD().decompose(upright.rows(head * width..<(head + 1) * width), rank: rank).v
        }
        let overlap = SubspaceOverlap(bases)
        ties.append(
            Diagnosis.Tie(
                kind: .heads, role: module.role, layer: module.layer, name: module.name, members: split.count,
                inputs: split.axis == .outputs ? overlap : nil, outputs: split.axis == .outputs ? nil : overlap))
    }

    private mutating func addExpert(_ module: LinearModule, _ subspaces: LeadingSubspaces) {
        let kind = Kind(
            role: module.role, expert: nil, outFeatures: module.outFeatures, inFeatures: module.inFeatures)
        let layer = module.layer ?? -1
        if let open = experts[kind], open.layer != layer { closeExperts(kind) }
        experts[kind, default: (layer, [])].bases.append(subspaces)
    }

    private mutating func closeExperts(_ kind: Kind) {
        guard let open = experts.removeValue(forKey: kind), open.bases.count > 1 else { return }
        ties.append(
            Diagnosis.Tie(
                kind: .experts, role: kind.role, layer: open.layer, name: "experts of block \(open.layer)",
                members: open.bases.count, inputs: SubspaceOverlap(open.bases.map(\.inputs)),
                outputs: SubspaceOverlap(open.bases.map(\.outputs))))
    }
}
