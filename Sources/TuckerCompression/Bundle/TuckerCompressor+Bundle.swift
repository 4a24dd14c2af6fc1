import CompressionCore
import MatrixCore
import Safetensors

/// Attention output projections of consecutive blocks by common projections (`BundleProjections`), each stored as the
/// Tucker form U₁ C U₂ of its matrix with U₁ = Q, C = QᵀWR and U₂ = Rᵀ.
extension TuckerCompressor {
    /// Whether a group is one of square output projections; other matrices are compressed by themselves.
    static func isBundle(_ group: [GroupMember]) -> Bool {
        group.count > 1
            && group.allSatisfy { $0.heads?.axis == .inputs && $0.outFeatures == $0.inFeatures && $0.stored == nil }
    }

    func bundle(_ group: [CompressionTask], _ ranks: TuckerRanks, strength: Double) throws -> [CompressionOutcome] {
        let found = try BundleProjections(
            group.map(\.objective), rank: ranks.rows, strength: strength, form: options.bundleForm)
        return try group.enumerated().map { layer, task in
            let stored = try form(found, layer, ranks, task.member, task.member.factorType)
            let computed = try form(found, layer, ranks, task.member, .float32)
            var evidence = CompressionEvidence(solver: "bundle")
            evidence.shift = task.objective.shift
            evidence.roundingError = TuckerForm.distance(stored, computed, over: task.objective.target)
            evidence.details["bundle_energy"] = JSON(found.energies.last ?? 0)
            evidence.details["bundle_energy_at_start"] = JSON(found.energies[0])
            evidence.details["sweeps"] = JSON(found.energies.count - 1)
            return .compressed(stored, evidence)
        }
    }

    private func form(
        _ found: BundleProjections, _ layer: Int, _ ranks: TuckerRanks, _ member: GroupMember, _ type: ElementType
    ) throws(OperatorError) -> TuckerOperator {
        let layout = TuckerLayout(
            kind: .matrix, heads: 1, rows: member.outFeatures, columns: member.inFeatures, transposed: [false])
        let storage = TuckerStorage(layout: layout, ranks: ranks, group: member.module)
        let parts = [
            MatrixOperand(found.outputs[layer]), MatrixOperand(found.core(of: layer)),
            MatrixOperand(found.inputs[layer]).transposed,
        ].map { StoredTensor($0, as: type) }
        return try TuckerOperator(member: 0, of: storage, parts: parts)
    }
}
