import CompressionCore
import Kernels
import MatrixCore

/// Chooses the entries of an error E (m × n) that the sparse part takes.
///
/// Those that cost most if they stay: E_ij² H_ii G_jj, with the diagonals of the metrics. That is the best choice for
/// diagonal metrics; with a Gram matrix, what an entry costs also depends on the others of its row, and the diagonal is
/// the usual estimate. Ties go to the entry that stands first.
///
/// - Cost: a few passes over E; scratch is one number an entry.
/// - Source: for activations, Sun et al., "A simple and effective pruning approach", arXiv 2306.11695.
struct SparseSelection {
    let pattern: SatenPattern
    /// Entries to choose where the pattern leaves it open.
    let count: Int
    let objective: Objective

    func positions(in error: Matrix) -> SparsePositions {
        let scores = scores(of: error)
        switch pattern {
        case .topk: return largest(scores)
        case .groups(let kept, let size): return largestOfGroups(scores, kept, size)
        }
    }

    /// |E_ij| √(H_ii G_jj)
    private func scores(of error: Matrix) -> Matrix {
        let rowWeights = objective.outputs.featureWeights(count: error.rows).map { Float($0.squareRoot()) }
        let columnWeights = objective.inputs.featureWeights(count: error.columns).map { Float($0.squareRoot()) }
        var scores = Matrix(uninitializedRows: error.rows, columns: error.columns)
        let target = scores.mutableView()
        let source = error.view
        parallelFor(error.rows) { i in
            for j in 0..<source.columns { target[i, j] = abs(source[i, j]) * rowWeights[i] * columnWeights[j] }
        }
        return scores
    }

    /// The `count` largest of all.
    private func largest(_ scores: Matrix) -> SparsePositions {
        let threshold = threshold(scores.view)
        var left = threshold.ties
        return collect(scores) { row, chosen in
            for column in 0..<scores.columns {
                let bits = scores.view[row, column].bitPattern
                if bits > threshold.bits {
                    chosen.append(UInt32(column))
                } else if bits == threshold.bits, left > 0 {
                    chosen.append(UInt32(column))
                    left -= 1
                }
            }
        }
    }

    /// The score of the last one chosen, as bits, and how many of exactly that score are.
    ///
    /// Scores are not negative, so that they order as their bits: one count of the upper halves, one of the lower
    /// halves below the upper half where the last one is.
    private func threshold(_ scores: MatrixView<Float>) -> (bits: UInt32, ties: Int) {
        func place(_ counts: [Int], _ wanted: Int) -> (bucket: Int, left: Int) {
            var left = wanted
            for bucket in counts.indices.reversed() {
                if counts[bucket] >= left { return (bucket, left) }
                left -= counts[bucket]
            }
            return (0, left)
        }
        let count = scores.rows * scores.columns
        var upper = [Int](repeating: 0, count: 1 << 16)
        for index in 0..<count { upper[Int(scores.base[index].bitPattern >> 16)] += 1 }
        let high = place(upper, self.count)
        var lower = [Int](repeating: 0, count: 1 << 16)
        for index in 0..<count {
            let bits = scores.base[index].bitPattern
            if Int(bits >> 16) == high.bucket { lower[Int(bits & 0xFFFF)] += 1 }
        }
        let low = place(lower, high.left)
        return (UInt32(high.bucket) << 16 | UInt32(low.bucket), low.left)
    }

    /// The `kept` largest of every `size` neighbours.
    private func largestOfGroups(_ scores: Matrix, _ kept: Int, _ size: Int) -> SparsePositions {
        let view = scores.view
        return collect(scores) { row, chosen in
            for first in stride(from: 0, to: scores.columns, by: size) {
                let order = (first..<first + size).sorted {
                    view[row, $0] > view[row, $1] || (view[row, $0] == view[row, $1] && $0 < $1)
                }
                for column in order.prefix(kept).sorted() { chosen.append(UInt32(column)) }
            }
        }
    }

    private func collect(_ scores: Matrix, _ row: (Int, inout [UInt32]) -> Void) -> SparsePositions {
        var chosen: [UInt32] = []
        var offsets = [0]
        for index in 0..<scores.rows {
            row(index, &chosen)
            offsets.append(chosen.count)
        }
        return SparsePositions(rows: scores.rows, columns: scores.columns, offsets: offsets, positions: chosen)
    }
}
