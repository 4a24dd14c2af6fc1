import CompressionCore
import Kernels
import MatrixCore

extension TensorTrainOperator: TrainableOperator {
    /// With D in the order of the train, (S × s × S'') around core k, and the cores before and behind it contracted to
    /// L (S × r) and R (r' × S''): ∂L/∂G_k = Lᵀ D Rᵀ. In pivot storage the rows of the identity are left out.
    ///
    /// - Cost: for each core two products, 2·m·n·(r + r') operations or fewer.
    public func tensorGradients(ofWeight gradient: MatrixView<Float>) -> [Matrix] {
        let sizes = modes.sizes
        let chain = CoreChain(sizes: sizes, ranks: ranks)
        let tensor = InterleavedOrder(modes).tensor(of: MatrixOperand(gradient))
        var gradients: [Matrix] = []
        for index in sizes.indices {
            var part = tensor.reshaped(rows: 1, columns: tensor.count)
            if index > 0 {
                let before = chain.contract(blocks, 0..<index).tall  // (S × r)
                part = Matrix(
                    product: before.transposed,
                    MatrixOperand(part.reshaped(rows: before.rows, columns: part.count / before.rows)))
            }
            if index + 1 < sizes.count {
                let behind = chain.contract(blocks, index + 1..<sizes.count).wide  // (r' × S'')
                part = Matrix(
                    product: MatrixOperand(part.reshaped(rows: part.count / behind.columns, columns: behind.columns)),
                    behind.transposed)
            }
            let core = part.reshaped(rows: part.count / ranks[index + 1], columns: ranks[index + 1])
            gradients.append(stored(core, index))
        }
        return gradients
    }

    /// The rows of a core's gradient that are stored, with the first axis of the tensor as rows.
    private func stored(_ core: Matrix, _ index: Int) -> Matrix {
        let pivotName = Self.pivotName(index)
        guard let pivots = tensors.first(where: { $0.name == pivotName })?.tensor.array(of: Int32.self) else {
            return core.reshaped(rows: ranks[index], columns: core.count / ranks[index])
        }
        let left = Set(pivots.map(Int.init))
        let others = (0..<core.rows).filter { !left.contains($0) }
        let source = core.view
        return Matrix(rows: others.count, columns: core.columns) { source[others[$0], $1] }
    }
}
