import Kernels
import MatrixCore

/// The largest entries of a weight beside its usual ones.
///
/// A few single weights can carry a model (a "super weight": in Llama-2-7B one entry of a down projection). A form of
/// low rank or of tensors smooths them away; a sparse part, or leaving that matrix dense, keeps them.
struct EntryOutliers {
    /// An entry counts as an outlier from this many times the root mean square on: of normal entries one in 10²³.
    static let threshold = 10.0

    /// max |w| / rms.
    let largest: Double
    let row: Int
    let column: Int
    /// Entries beyond the threshold.
    let count: Int
    /// Their share of Σw².
    let energy: Double

    init(_ weight: MatrixOperand) {
        let total = sumOfSquares(weight)
        let rms = (total / Double(max(weight.rows * weight.columns, 1))).squareRoot(), limit = Self.threshold * rms
        let rows = AlignedBuffer<RowSummary>(uninitializedCount: weight.rows)
        parallelFor(weight.rows) { row in
            var summary = RowSummary()
            for column in 0..<weight.columns {
                let size = weight[row, column].magnitude
                if size > summary.largest { (summary.largest, summary.column) = (size, column) }
                if size > limit {
                    summary.count += 1
                    summary.squares += size * size
                }
            }
            rows.base[row] = summary
        }
        var largest = 0.0, place = (row: 0, column: 0), count = 0, squares = 0.0
        for row in 0..<weight.rows {
            let summary = rows.base[row]
            if summary.largest > largest { (largest, place) = (summary.largest, (row, summary.column)) }
            count += summary.count
            squares += summary.squares
        }
        self.largest = rms > 0 ? largest / rms : 0
        (row, column, self.count) = (place.row, place.column, count)
        energy = total > 0 ? squares / total : 0
    }

    private struct RowSummary {
        var largest = 0.0
        var column = 0
        var count = 0
        var squares = 0.0
    }
}
