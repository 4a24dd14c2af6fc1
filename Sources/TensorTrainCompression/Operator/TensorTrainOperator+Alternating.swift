import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore

extension TensorTrainOperator: AlternatingOperator {
    /// The alternating least squares that the compressor makes (`TrainFit`), from the cores at hand; a sweep is one way
    /// forth and one back. In pivot storage the bonds are then turned so that the rows of the identity stay where they
    /// are.
    public func alternated(towards target: Matrix64, _ metric: GramMetric, sweeps: Int) throws -> [Matrix] {
        let objective = Objective(target: MatrixOperand(target), inputs: .gram(metric))
        let train = TensorTrain(modes: modes, cores: blocks.map { Matrix(converting: $0.tall) })
        let found = try TrainFit(objective, modes: modes).improved(train, passes: 2 * sweeps)
        guard found.ranks == ranks else {
            throw LinearAlgebraError.shapeMismatch(
                rows: outFeatures, columns: inFeatures, expected: "a train of the ranks \(ranks)")
        }
        guard storage == .pivot else {
            return found.balanced().cores.enumerated().map { index, core in
                core.reshaped(rows: ranks[index], columns: core.count / ranks[index])
            }
        }
        return try withPivots(found.cores)
    }

    /// Cores as they are stored: each turned by the inverse of its pivot rows, which the next one takes.
    private func withPivots(_ given: [Matrix]) throws -> [Matrix] {
        var cores = given
        var stored: [Matrix] = []
        for index in cores.indices {
            let name = Self.pivotName(index)
            guard let tensor = tensors.first(where: { $0.name == name })?.tensor else {
                let core = cores[index]
                stored.append(core.reshaped(rows: ranks[index], columns: core.count / ranks[index]))
                continue
            }
            try TensorTrain.orthonormaliseLeft(&cores, index)
            let core = cores[index], rank = core.columns
            let pivots = tensor.array(of: Int32.self).map(Int.init), isPivot = Set(pivots)
            let change = Matrix64(rows: rank, columns: rank) { Double(core[pivots[$0], $1]) }
            let others = (0..<core.rows).filter { !isPivot.contains($0) }
            // Rows C with C · change the rows of the core.
            let right = Matrix64(rows: rank, columns: others.count) { Double(core[others[$1], $0]) }
            let turned = try LeastSquares(Matrix64(change.view.transposed).view, right.view).solution
            stored.append(Matrix(rows: others.count, columns: rank) { Float(turned[$1, $0]) })
            let next = TensorTrain.wide(cores[index + 1], rank: rank)
            cores[index + 1] = TensorTrain.product(
                Matrix(rows: rank, columns: rank) { Float(change[$0, $1]) }, next, columns: cores[index + 1].columns)
        }
        return stored
    }
}
