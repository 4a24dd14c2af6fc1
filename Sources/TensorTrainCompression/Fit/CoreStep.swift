import Kernels
import LinearAlgebra
import MatrixCore

/// The least-squares problem of one core of a train, the others being fixed and orthonormal around it:
///
///     minimise ‖T − L · (G + D) · R‖²  in the metric, over corrections D [r, m_k, n_k, r']
///
/// with L (s₁…s_(k−1) × r) and R (r' × s_(k+1)…s_d) the contracted neighbours. Its normal equations A D =
/// Lᵀ(G_oEG_i)Rᵀ, E the error so far, are solved by conjugate gradients without forming A; where the metric is that
/// of the inputs alone the rows of an output mode do not meet, and a small A is formed and factored (`NormalMatrix`).
struct CoreStep {
    private let fit: TrainFit
    private let core: Int
    private let current: Matrix
    /// L, and R, as blocks; nil at the ends of the train.
    private let left: TrainBlock?
    private let right: TrainBlock?
    private let rankBefore: Int
    private let residual: Matrix

    /// Steps of conjugate gradients; in a basis where the metric is near the identity a few take most of the error.
    private static let mostSteps = 12
    /// The share of the first residual at which they end.
    private static let tolerance = 1e-2

    init(_ fit: TrainFit, cores: [Matrix], core: Int) {
        self.fit = fit
        self.core = core
        let train = TensorTrain(modes: fit.modes, cores: cores)
        let chain = CoreChain(sizes: fit.modes.sizes, ranks: train.ranks)
        current = cores[core]
        rankBefore = train.ranks[core]
        left = core > 0 ? chain.contract(train.blocks, 0..<core) : nil
        right = core < cores.count - 1 ? chain.contract(train.blocks, (core + 1)..<cores.count) : nil
        residual = fit.residual(train)
    }

    private var size: Int { fit.modes.sizes[core] }

    /// The moved core.
    func solve() throws -> Matrix {
        let gradient = projected(fit.weighed(residual))
        let correction: Matrix
        if let direct = NormalMatrix(fit, core: core, left: left, right: right) {
            correction = try direct.solve(gradient, rank: rankBefore)
        } else {
            correction = conjugateGradients(gradient)
        }
        var result = current
        Self.add(correction, to: &result, factor: 1)
        return result
    }

    private func conjugateGradients(_ gradient: Matrix) -> Matrix {
        var solution = Matrix(rows: gradient.rows, columns: gradient.columns)
        var rest = gradient
        var direction = gradient
        var squares = Self.dot(rest, rest)
        let enough = squares * Self.tolerance * Self.tolerance
        for _ in 0..<Self.mostSteps where squares > enough {
            let image = projected(fit.weighed(expanded(direction)))
            let curvature = Self.dot(direction, image)
            guard curvature > 0, curvature.isFinite else { break }
            let step = squares / curvature
            Self.add(direction, to: &solution, factor: step)
            Self.add(image, to: &rest, factor: -step)
            let next = Self.dot(rest, rest)
            Self.scale(&direction, by: next / squares, adding: rest)
            squares = next
        }
        return solution
    }

    /// L · D · R in the order of the tensor.
    private func expanded(_ core: Matrix) -> Matrix {
        let middle = TrainBlock(MatrixOperand(core), left: rankBefore, size: size, right: core.columns)
        let blocks = [left, middle, right].compactMap { $0 }
        let chain = CoreChain(sizes: blocks.map(\.size), ranks: [1] + blocks.map(\.right))
        let tensor = chain.contract(blocks, 0..<blocks.count)
        var result = Matrix(uninitializedRows: fit.target.rows, columns: fit.target.columns)
        let flat = MatrixOperand(
            base: tensor.numbers.base, type: .float32, rows: result.rows, columns: result.columns,
            rowStride: result.columns,
            owner: tensor.numbers.owner)
        convert(flat, into: MutableMatrixOperand(result.mutableView()))
        return result
    }

    /// Lᵀ · Y · Rᵀ as a core, the narrower side first.
    private func projected(_ tensor: Matrix) -> Matrix {
        let rankBehind = current.columns
        let before = left?.size ?? 1
        let behind = right?.size ?? 1
        func onLeft(_ tensor: Matrix) -> Matrix {
            guard let left else { return tensor }
            let folded = tensor.reshaped(rows: before, columns: tensor.count / before)
            var result = Matrix(uninitializedRows: rankBefore, columns: folded.columns)
            multiply(left.tall.transposed, MatrixOperand(folded), into: result.mutableView())
            return result
        }
        func onRight(_ tensor: Matrix) -> Matrix {
            guard let right else { return tensor }
            let folded = tensor.reshaped(rows: tensor.count / behind, columns: behind)
            var result = Matrix(uninitializedRows: folded.rows, columns: rankBehind)
            multiply(MatrixOperand(folded), right.wide.transposed, into: result.mutableView())
            return result
        }
        let isLeftFirst = rankBefore * behind <= before * rankBehind
        let result = isLeftFirst ? onRight(onLeft(tensor)) : onLeft(onRight(tensor))
        return result.reshaped(rows: rankBefore * size, columns: rankBehind)
    }

    // MARK: - Vectors

    /// Σ a b, in Double in a fixed order.
    static func dot(_ a: Matrix, _ b: Matrix) -> Double {
        let left = a.view
        let right = b.view
        var sums = (0.0, 0.0, 0.0, 0.0)
        let count = a.count
        let whole = count / 4 * 4
        for index in stride(from: 0, to: whole, by: 4) {
            sums.0 += Double(left.base[index]) * Double(right.base[index])
            sums.1 += Double(left.base[index + 1]) * Double(right.base[index + 1])
            sums.2 += Double(left.base[index + 2]) * Double(right.base[index + 2])
            sums.3 += Double(left.base[index + 3]) * Double(right.base[index + 3])
        }
        for index in whole..<count { sums.0 += Double(left.base[index]) * Double(right.base[index]) }
        return withExtendedLifetime((a, b)) { (sums.0 + sums.1) + (sums.2 + sums.3) }
    }

    private static func add(_ source: Matrix, to target: inout Matrix, factor: Double) {
        let from = source.view
        let to = target.mutableView()
        let factor = Float(factor)
        for index in 0..<source.count { to.base[index] += factor * from.base[index] }
        withExtendedLifetime(source) {}
    }

    /// direction ← factor · direction + rest
    private static func scale(_ direction: inout Matrix, by factor: Double, adding rest: Matrix) {
        let to = direction.mutableView()
        let from = rest.view
        let factor = Float(factor)
        for index in 0..<rest.count { to.base[index] = factor * to.base[index] + from.base[index] }
        withExtendedLifetime(rest) {}
    }
}
