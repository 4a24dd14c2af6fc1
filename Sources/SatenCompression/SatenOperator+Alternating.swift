import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore

extension SatenOperator: AlternatingOperator {
    /// As the compressor does it, but for the positions: L ← T − S by the solver of its own form, S ← T − L by
    /// conjugate gradients on its values (`SparseFit`).
    public func alternated(towards target: Matrix64, _ metric: GramMetric, sweeps: Int) throws -> [Matrix] {
        guard let part = lowRank as? any AlternatingOperator else {
            throw LinearAlgebraError.shapeMismatch(
                rows: outFeatures, columns: inFeatures, expected: "a low-rank part that can be fitted")
        }
        let objective = Objective(target: MatrixOperand(target), inputs: .gram(metric))
        var low: any AlternatingOperator = part
        var numbers: [Matrix] = []
        var entries = values.operand(leadingAxes: 0).map { own in (0..<own.columns).map { own[0, $0] } } ?? []
        for _ in 0..<sweeps {
            var rest = target  // T − S
            let view = rest.mutableView()
            for row in 0..<places.rows {
                for entry in places.offsets[row]..<places.offsets[row + 1] {
                    view[row, Int(places.positions[entry])] -= entries[entry]
                }
            }
            numbers = try low.alternated(towards: rest, metric, sweeps: 1)
            low = try low.with(numbers)
            let left = Matrix(objective.target, minus: low.reconstruct())
            entries = SparseFit(positions: places, objective: objective).values(for: left)
        }
        let height = values.shape[0]
        let sparse = Matrix(rows: height, columns: entries.count / max(height, 1)) { row, column in
            Float(entries[row * (entries.count / max(height, 1)) + column])
        }
        return numbers + [sparse]
    }
}

extension AlternatingOperator {
    /// The operator with other numbers, in Float.
    fileprivate func with(_ numbers: [Matrix]) throws -> Self {
        var tensors: [String: StoredTensor] = [:]
        for (tensor, values) in zip(self.numbers, numbers) {
            tensors[tensor.fullName(in: "")] = StoredTensor(
                MatrixOperand(values), as: .float32, shape: tensor.tensor.shape)
        }
        return try replacing(module: "", tensors)
    }
}
