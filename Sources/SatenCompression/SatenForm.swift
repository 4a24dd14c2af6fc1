import CompressionCore
import MatrixCore
import Safetensors

/// What a matrix (m × n) becomes: the size of its low-rank part and of its sparse part.
struct SatenForm {
    let member: GroupMember
    let pattern: SatenPattern
    let lowRank: PlannedSize
    /// What gives the low-rank part that size.
    let lowRankBudget: Budget
    /// Entries of the sparse part.
    let entries: Int

    private var layout: PositionLayout {
        PositionLayout(pattern, rows: member.outFeatures, columns: member.inFeatures, entries: entries)
    }

    /// Numbers stored.
    var parameters: Int { lowRank.largestParameters + entries }

    /// Whether it is smaller than the matrix, in numbers and with positions also in bytes.
    var saves: Bool {
        lowRank.keptDense == nil && parameters < member.parameters
            && planned.bytes < member.parameters * member.factorType.bytes
    }

    var planned: PlannedSize {
        let sparse =
            [
                PlannedTensor(
                    "sparse.values", TensorDType(member.factorType),
                    pattern.valueShape(rows: member.outFeatures, columns: member.inFeatures, entries: entries))
            ] + layout.planned(rows: member.outFeatures, columns: member.inFeatures, entries: entries)
        return PlannedSize(
            schema: SatenOperator.schema,
            entry: Self.entry(lowRank: lowRank.schema ?? "", lowRank.entry, pattern, entries: entries),
            macs: lowRank.macs + entries, tensors: lowRank.tensors + sparse, alternative: lowRank.alternative + sparse)
    }

    var denseReason: String {
        if let reason = lowRank.keptDense { return "the low-rank part: \(reason)" }
        return "\(parameters) numbers with their positions would be \(planned.bytes) bytes, the matrix has "
            + "\(member.parameters) numbers of \(member.factorType.bytes) bytes"
    }

    /// What config.json says of an operator.
    static func entry(
        lowRank schema: String, _ lowRank: JSONObject, _ pattern: SatenPattern, entries: Int
    ) -> JSONObject {
        var part: JSONObject = ["schema": JSON(schema)]
        for (key, value) in lowRank.entries { part[key] = value }
        return ["low_rank": .object(part), "pattern": JSON(pattern.text), "nnz": JSON(entries)]
    }
}
