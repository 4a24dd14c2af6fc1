import CompressionCore
import MatrixCore

extension SatenOperator: TrainableOperator {
    /// Those of the low-rank part, and D at the entries of S, whose pattern stays.
    public func tensorGradients(ofWeight gradient: MatrixView<Float>) -> [Matrix] {
        let lowRankGradients = (lowRank as? any TrainableOperator)?.tensorGradients(ofWeight: gradient) ?? []
        var atEntries = Matrix(
            uninitializedRows: values.shape[0], columns: entries / max(values.shape[0], 1))
        let target = atEntries.mutableView().base
        for row in 0..<gradient.rows {
            let source = gradient.base + row * gradient.rowStride
            for entry in places.offsets[row]..<places.offsets[row + 1] {
                target[entry] = source[Int(places.positions[entry]) * gradient.columnStride]
            }
        }
        return lowRankGradients + [atEntries]
    }
}
