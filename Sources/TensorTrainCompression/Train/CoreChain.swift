import Kernels
import MatrixCore

/// A core, or several neighbouring cores contracted: numbers [r, s, r'] in any storage format, without gaps.
struct TrainBlock {
    /// The numbers; only the base, type and owner of the operand matter.
    let numbers: MatrixOperand
    /// r.
    let left: Int
    /// s.
    let size: Int
    /// r'.
    let right: Int

    init(_ numbers: MatrixOperand, left: Int, size: Int, right: Int) {
        precondition(numbers.rows * numbers.columns == left * size * right, "a core of another size")
        self.numbers = numbers
        self.left = left
        self.size = size
        self.right = right
    }

    /// ((r s) × r').
    var tall: MatrixOperand { folded(rows: left * size, columns: right) }
    /// (r × (s r')).
    var wide: MatrixOperand { folded(rows: left, columns: size * right) }

    /// The numbers in rows of another length.
    func folded(rows: Int, columns: Int) -> MatrixOperand {
        MatrixOperand(
            base: numbers.base, type: numbers.type, rows: rows, columns: columns, rowStride: columns,
            owner: numbers.owner)
    }
}

/// The contraction of neighbouring cores to one block, in the order that takes the fewest multiply-adds.
///
/// The best order of a chain of d products is found by dynamic programming over its segments: d³/6 steps.
struct CoreChain {
    /// s_k of the chain's cores.
    let sizes: [Int]
    /// r_k on its d + 1 ends and bonds.
    let ranks: [Int]
    /// best[first][last]: multiply-adds to contract cores first … last, and where the last product splits them.
    private let best: [[(macs: Int, split: Int)]]

    init(sizes: [Int], ranks: [Int]) {
        precondition(ranks.count == sizes.count + 1, "a chain has a rank on either end of every core")
        self.sizes = sizes
        self.ranks = ranks
        let count = sizes.count
        var best = Array(repeating: Array(repeating: (macs: 0, split: 0), count: count), count: count)
        for length in 1..<max(count, 1) {
            for first in 0..<(count - length) {
                let last = first + length
                best[first][last] =
                    (first..<last).map { split in
                        let product =
                            ranks[first] * sizes[first...split].reduce(1, *) * ranks[split + 1]
                            * sizes[(split + 1)...last].reduce(1, *) * ranks[last + 1]
                        return (best[first][split].macs + best[split + 1][last].macs + product, split)
                    }.min { $0.0 < $1.0 } ?? (0, first)
            }
        }
        self.best = best
    }

    /// Multiply-adds to contract a range of cores.
    func macs(_ range: Range<Int>) -> Int { best[range.lowerBound][range.upperBound - 1].macs }

    /// The same as time, in multiply-adds of a large product (`TrainCost`).
    func cost(_ range: Range<Int>) -> Double {
        guard range.count > 1 else { return 0 }
        let cut = cut(range)
        let product = TrainCost.product(
            ranks[range.lowerBound] * sizes[range.lowerBound..<cut].reduce(1, *), ranks[cut],
            sizes[cut..<range.upperBound].reduce(1, *) * ranks[range.upperBound])
        return cost(range.lowerBound..<cut) + cost(cut..<range.upperBound) + product
    }

    /// The first core behind the bond that the last product of a contraction sums over; for a single core its end.
    func cut(_ range: Range<Int>) -> Int {
        range.count > 1 ? best[range.lowerBound][range.upperBound - 1].split + 1 : range.upperBound
    }

    /// The contraction of a range of cores; a single core as it is.
    func contract(_ cores: [TrainBlock], _ range: Range<Int>) -> TrainBlock {
        guard range.count > 1 else { return cores[range.lowerBound] }
        let split = cut(range)
        let left = contract(cores, range.lowerBound..<split)
        let right = contract(cores, split..<range.upperBound)
        var product = Matrix(uninitializedRows: left.left * left.size, columns: right.size * right.right)
        multiply(left.tall, right.wide, into: product.mutableView())
        return TrainBlock(MatrixOperand(product), left: left.left, size: left.size * right.size, right: right.right)
    }
}
