import Foundation
import MatrixCore

/// How far predictions are from those of a reference, with the slope.
enum PredictionLoss {
    /// Σ KL(p ‖ q) over rows, with p = softmax(reference) and q = softmax(logits); logits become the gradient q − p.
    ///
    /// Sums of exponentials are in Double; rows are added in order.
    static func divergence(_ logits: MutableMatrixView<Float>, reference: MatrixView<Float>) -> Double {
        let own = TokenLosses.logSumsOfExponentials(logits.readable)
        let wanted = TokenLosses.logSumsOfExponentials(reference)
        let sums = AlignedBuffer<Double>(uninitializedCount: logits.rows)
        forEachRowBlock(logits.rows, columns: logits.columns * 8) { rows in
            for row in rows {
                sums.base[row] = divergence(
                    logits.base + row * logits.rowStride, own[row], reference.base + row * reference.rowStride,
                    wanted[row], logits.columns)
            }
        }
        return (0..<logits.rows).reduce(0) { $0 + sums.base[$1] }
    }

    /// KL of one row, whose logits become q − p.
    ///
    /// - Parameters: each with its log Σ e^logit.
    @inline(__always)
    private static func divergence(
        _ logits: UnsafeMutablePointer<Float>, _ own: Double, _ reference: UnsafePointer<Float>, _ wanted: Double,
        _ count: Int
    ) -> Double {
        let ownShift = Float(own), wantedShift = Float(wanted)
        var sums = VectorMath.Lanes()
        var total = 0.0
        var i = 0
        while i + VectorMath.width <= count {
            let logQ = VectorMath.load(logits + i) - ownShift, logP = VectorMath.load(reference + i) - wantedShift
            let p = VectorMath.exponential(logP)
            sums += p * (logP - logQ)
            VectorMath.store(VectorMath.exponential(logQ) - p, logits + i)
            i += VectorMath.width
            if i % 512 == 0 {
                total += Double(VectorMath.total(sums))
                sums = VectorMath.Lanes()
            }
        }
        total += Double(VectorMath.total(sums))
        while i < count {
            let logQ = logits[i] - ownShift, logP = reference[i] - wantedShift
            let p = exp(logP)
            total += Double(p * (logP - logQ))
            logits[i] = exp(logQ) - p
            i += 1
        }
        return total
    }
}

/// How far hidden states are from those of a reference, with the slope.
public enum HiddenStateLoss {
    /// ½ ‖x − t‖² · tokens / ‖t‖²: half the tokens where x is zero.
    ///
    /// - Parameter gradient: takes (x − t) · tokens / ‖t‖².
    public static func compute(
        _ x: MatrixView<Float>, reference t: MatrixView<Float>, gradient: MutableMatrixView<Float>?
    ) -> Double {
        let sums = AlignedBuffer<Double>(uninitializedCount: 2 * x.rows)
        forEachRowBlock(x.rows, columns: 2 * x.columns) { rows in
            for row in rows {
                var error = 0.0, norm = 0.0
                let p = x.base + row * x.rowStride, q = t.base + row * t.rowStride
                for column in 0..<x.columns {
                    error += Double(p[column] - q[column]) * Double(p[column] - q[column])
                    norm += Double(q[column]) * Double(q[column])
                }
                sums.base[2 * row] = error
                sums.base[2 * row + 1] = norm
            }
        }
        let error = (0..<x.rows).reduce(0) { $0 + sums.base[2 * $1] }
        let norm = (0..<x.rows).reduce(0) { $0 + sums.base[2 * $1 + 1] }
        guard norm > 0 else { return 0 }
        let scale = Float(Double(x.rows) / norm)
        if let gradient {
            forEachRowBlock(x.rows, columns: x.columns) { rows in
                for row in rows {
                    for column in 0..<x.columns { gradient[row, column] = (x[row, column] - t[row, column]) * scale }
                }
            }
        }
        return 0.5 * error * Double(x.rows) / norm
    }
}
