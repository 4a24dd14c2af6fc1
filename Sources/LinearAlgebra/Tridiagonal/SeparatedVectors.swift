import KernelContract
import Kernels
import MatrixCore

/// Eigenvectors of a piece of T one by one, from its eigenvalues: n operations each and no products of matrices, for
/// vectors that need not be orthogonal beyond Float.
///
/// A vector solves (T − λ) z = γ e_r for the row r where it is largest. What it is off by, T z − λ z, turns it towards
/// another vector by that over the distance of their eigenvalues: with values and residuals to the rounding of Double,
/// by less than the rounding of Float wherever neighbours are 7e-9 · ‖T‖ apart. Closer ones are a *group*:
/// orthogonalised against each other where there are few and they can be told apart, taken from divide & conquer
/// where not. Which groups there are follows from the eigenvalues alone, so that a vector does not depend on how many
/// others are asked for.
///
/// - Cost: about 60 n operations a vector, bound by 2 n divisions.
/// - Source: Fernando, "On computing an eigenvector of a tridiagonal matrix", SIAM J. Matrix Anal. Appl. 18 (1997), for
///   the row; Dhillon and Parlett, "Multiple representations to compute orthogonal eigenvectors of symmetric tridiagonal
///   matrices", Linear Algebra Appl. 387 (2004). They get vectors orthogonal to Double by representing T anew near each
///   cluster; Float needs none of that.
struct SeparatedVectors {
    /// Neighbours closer than this are of one group; T has a norm of about 1.
    private static let distance = 0x1p-27
    /// Neighbours closer than this cannot be told apart by their vectors.
    private static let leastDistance = 0x1p-42
    /// Vectors of a group that are orthogonalised against each other, at most.
    private static let largestGroup = 8
    /// A vector with a longer residual is not believed.
    private static let largestResidual = 0x1p-44

    let block: TridiagonalBlock

    /// Column columns[k] of the target ← the vector of position positions[k].
    func write(
        _ positions: Range<Int>, into target: MutableMatrixView<Double>, columns: [Int]
    ) throws(LinearAlgebraError) {
        let isSound = writeTwisted(positions, into: target, columns)
        var hard: [Range<Int>] = []
        for group in groups(positions) {
            let wanted = group.clamped(to: positions)
            let indices = wanted.lowerBound - positions.lowerBound..<wanted.upperBound - positions.lowerBound
            if isEasy(group, from: positions.lowerBound), isSound[indices].allSatisfy({ $0 }) {
                Self.orthogonalise(columns[indices], of: target)
            } else {
                hard.append(wanted)
            }
        }
        guard !hard.isEmpty else { return }
        let whole = try block.solvedForVectors().vectors(positions)
        for group in hard {
            let indices = group.lowerBound - positions.lowerBound..<group.upperBound - positions.lowerBound
            whole.transpose(group, into: target, columns: Array(columns[indices]))
        }
    }

    /// - Returns: whether the residual of each vector is as small as it must be.
    private func writeTwisted(
        _ positions: Range<Int>, into target: MutableMatrixView<Double>, _ columns: [Int]
    ) -> [Bool] {
        let n = block.values.count, lanes = TwistedVectors.lanes
        let kernel = InstructionSet.active.kernels.secular.twistedVectors
        let residuals = PaddedRun(count: positions.count)
        parallelFor((positions.count + lanes - 1) / lanes) { piece in
            let first = piece * lanes, count = min(lanes, positions.count - first)
            let values = (0..<lanes).map { block.values[positions.lowerBound + first + min($0, count - 1)] }
            withUnsafeTemporaryAllocation(byteCount: 3 * n * lanes * 8, alignment: 64) { memory in
                let vectors = memory.bindMemory(to: Double.self)
                guard let base = vectors.baseAddress else { return }
                kernel(
                    TwistedVectors(
                        diagonal: block.diagonal, offDiagonal: block.offDiagonal, count: n, values: values,
                        vectors: base, residuals: residuals.base + first, work: base + n * lanes))
                for i in 0..<n {
                    let row = target.base + i * target.rowStride
                    for lane in 0..<count { row[columns[first + lane]] = base[i * lanes + lane] }
                }
            }
        }
        return positions.indices.map { residuals[$0 - positions.lowerBound] <= Self.largestResidual }
    }

    /// The groups that some of the positions belong to, whole, those of a single one included.
    private func groups(_ positions: Range<Int>) -> [Range<Int>] {
        let values = block.values
        func areClose(_ position: Int) -> Bool { values[position] - values[position - 1] < Self.distance }
        guard var start = positions.first else { return [] }
        while start > 0, areClose(start) { start -= 1 }
        var groups: [Range<Int>] = []
        while start < positions.upperBound {
            var end = start + 1
            while end < values.count, areClose(end) { end += 1 }
            groups.append(start..<end)
            start = end
        }
        return groups
    }

    /// Whether its vectors are told apart well enough to be orthogonalised, the first of them among those asked for.
    private func isEasy(_ group: Range<Int>, from first: Int) -> Bool {
        group.count == 1
            || group.count <= Self.largestGroup && group.lowerBound >= first
                && group.dropFirst().allSatisfy { block.values[$0] - block.values[$0 - 1] >= Self.leastDistance }
    }

    /// Takes out of each column what it has of those before it, and brings it to length 1.
    private static func orthogonalise(_ columns: ArraySlice<Int>, of target: MutableMatrixView<Double>) {
        func product(_ a: Int, _ b: Int) -> Double {
            (0..<target.rows).reduce(0) { $0 + target[$1, a] * target[$1, b] }
        }
        for (index, column) in columns.enumerated().dropFirst() {
            for other in columns.prefix(index) {
                let share = product(column, other)
                for i in 0..<target.rows { target[i, column] -= share * target[i, other] }
            }
            let scale = 1 / product(column, column).squareRoot()
            for i in 0..<target.rows { target[i, column] *= scale }
        }
    }
}
