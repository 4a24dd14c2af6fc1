import Kernels
import LinearAlgebra
import MatrixCore

/// A matrix (m × n) as a train of cores:
///
///     W'[(i₁ … i_d), (j₁ … j_d)] = G₁[i₁, j₁] · G₂[i₂, j₂] · … · G_d[i_d, j_d]
///
/// where G_k[i, j] is a matrix (r_(k−1) × r_k), r₀ = r_d = 1.
///
/// ```swift
/// let modes = TrainModes.balanced(outFeatures: 768, inFeatures: 768, cores: 3)!
/// let (train, _) = try TensorTrainSVD().decompose(weight, modes: modes, keeping: .error(0.1))
/// let smaller = try train.rounded(.error(0.2)).train
/// let dense = smaller.reconstruct()      // (768 × 768)
/// ```
///
/// - Source: Oseledets, "Tensor-train decomposition", SIAM J. Sci. Comput. 33 (2011); as a matrix: Oseledets,
///   "Approximation of 2^d × 2^d matrices using tensor decomposition", 2010.
public struct TensorTrain: Sendable {
    public let modes: TrainModes
    /// G_k as ((r_(k−1) m_k n_k) × r_k), row-major: the numbers of a tensor [r_(k−1), m_k, n_k, r_k].
    public let cores: [Matrix]

    public init(modes: TrainModes, cores: [Matrix]) {
        precondition(cores.count == modes.order, "one core for each pair of modes")
        var rank = 1
        for (core, size) in zip(cores, modes.sizes) {
            precondition(core.rows == rank * size, "a core does not fit the one before it")
            rank = core.columns
        }
        precondition(rank == 1, "the last core ends in a bond")
        self.modes = modes
        self.cores = cores
    }

    /// r₀ … r_d, the ones at both ends included.
    public var ranks: [Int] { [1] + cores.map(\.columns) }
    public var parameters: Int { cores.reduce(0) { $0 + $1.count } }

    /// W' (m × n).
    public func reconstruct() -> Matrix {
        let tensor = CoreChain(sizes: modes.sizes, ranks: ranks).contract(blocks, 0..<modes.order)
        return InterleavedOrder(modes).matrix(of: tensor.numbers)
    }

    var blocks: [TrainBlock] {
        let ranks = ranks
        let sizes = modes.sizes
        return cores.indices.map {
            TrainBlock(MatrixOperand(cores[$0]), left: ranks[$0], size: sizes[$0], right: ranks[$0 + 1])
        }
    }

    /// The same train with the scale of every bond shared evenly by the cores beside it, which keeps narrow types away
    /// from both ends of their range.
    public func balanced() -> TensorTrain {
        var cores = cores
        for bond in 0..<(modes.order - 1) {
            let right = Self.wide(cores[bond + 1], rank: cores[bond].columns)
            var scales = [Float](repeating: 1, count: right.rows)
            for index in scales.indices {
                let left = sumOfSquares(MatrixOperand(cores[bond].view.columns(index..<index + 1))).squareRoot()
                let here = sumOfSquares(MatrixOperand(right.rows(index..<index + 1))).squareRoot()
                // A power of two changes no digit.
                if left > 0, here > 0 { scales[index] = Float(exactPowerNear: (here / left).squareRoot()) }
            }
            Self.scale(&cores[bond], columnsBy: scales)
            Self.scale(&cores[bond + 1], rowGroupsBy: scales.map { 1 / $0 })
        }
        return TensorTrain(modes: modes, cores: cores)
    }

    /// A core as (r × (s r')).
    static func wide(_ core: Matrix, rank: Int) -> MatrixView<Float> {
        let view = core.view
        let columns = core.count / max(rank, 1)
        return MatrixView(base: view.base, rows: rank, columns: columns, rowStride: columns, owner: view.owner)
    }

    private static func scale(_ core: inout Matrix, columnsBy scales: [Float]) {
        let view = core.mutableView()
        for row in 0..<view.rows {
            for (column, scale) in scales.enumerated() { view[row, column] *= scale }
        }
    }

    private static func scale(_ core: inout Matrix, rowGroupsBy scales: [Float]) {
        let group = core.count / max(scales.count, 1)
        let base = core.mutableView().base
        for (index, scale) in scales.enumerated() {
            for position in 0..<group { base[index * group + position] *= scale }
        }
    }
}

extension Float {
    /// The power of two nearest to a positive number, in its exponent.
    fileprivate init(exactPowerNear value: Double) {
        self = Float(sign: .plus, exponent: Int(value.exponent.clamped(to: -60...60)), significand: 1)
    }
}

extension BinaryInteger {
    fileprivate func clamped(to range: ClosedRange<Self>) -> Self {
        Swift.min(Swift.max(self, range.lowerBound), range.upperBound)
    }
}
