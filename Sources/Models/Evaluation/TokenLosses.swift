import Foundation
import MatrixCore

/// Negative log-likelihoods of tokens under rows of logits.
public enum TokenLosses {
    /// −log softmax(logits)[target] of each row, in nats.
    ///
    /// The sum of exponentials of each row is taken in Double: half a million of them lose digits in Float.
    public static func compute(_ logits: MatrixView<Float>, targets: ArraySlice<Int32>) -> [Double] {
        let normalisers = logSumsOfExponentials(logits)
        return zip(normalisers, targets).enumerated().map { row, pair in
            pair.0 - Double(logits[row, Int(pair.1)])
        }
    }

    /// log Σ e^logit of each row.
    static func logSumsOfExponentials(_ logits: MatrixView<Float>) -> [Double] {
        let results = AlignedBuffer<Double>(uninitializedCount: logits.rows)
        forEachRowBlock(logits.rows, columns: logits.columns * 4) { rows in
            for row in rows {
                let p = logits.base + row * logits.rowStride
                let largest = VectorMath.maximum(p, logits.columns)
                results.base[row] = Double(largest) + log(sumOfExponentials(p, logits.columns, shift: largest))
            }
        }
        return (0..<logits.rows).map { results.base[$0] }
    }

    /// Σ e^(p[i] − shift)
    private static func sumOfExponentials(_ p: UnsafePointer<Float>, _ count: Int, shift: Float) -> Double {
        var total = 0.0
        var i = 0
        // Short stretches are summed in Float, the stretches in Double.
        while i < count {
            let end = min(i + 256, count)
            var lanes = VectorMath.Lanes()
            while i + VectorMath.width <= end {
                lanes += VectorMath.exponential(VectorMath.load(p + i) - shift)
                i += VectorMath.width
            }
            total += Double(VectorMath.total(lanes))
            while i < end {
                total += Double(exp(p[i] - shift))
                i += 1
            }
        }
        return total
    }
}
