import Foundation
import MatrixCore

/// Cosines and sines of some positions, and the turning of queries and keys by them.
struct RotaryEmbedding: Sendable {
    /// (tokens × dimensions / 2)
    let cosines: MutableMatrixView<Float>
    let sines: MutableMatrixView<Float>

    /// - Parameter positions: of the tokens that are read now.
    init(_ description: RotaryDescription, positions: Range<Int>, _ workspace: Workspace) {
        let frequencies = description.frequencies(length: positions.upperBound)
        self.init(
            description, positions: positions, frequencies,
            cosines: workspace.matrix(.cosines, rows: positions.count, columns: frequencies.count),
            sines: workspace.matrix(.sines, rows: positions.count, columns: frequencies.count))
    }

    /// Of a whole sequence, in memory of its own.
    init(_ description: RotaryDescription, tokens: Int) {
        let frequencies = description.frequencies(length: tokens)
        var cosines = Matrix(uninitializedRows: tokens, columns: frequencies.count)
        var sines = Matrix(uninitializedRows: tokens, columns: frequencies.count)
        self.init(
            description, positions: 0..<tokens, frequencies, cosines: cosines.mutableView(), sines: sines.mutableView())
    }

    private init(
        _ description: RotaryDescription, positions: Range<Int>, _ frequencies: [Float],
        cosines: MutableMatrixView<Float>, sines: MutableMatrixView<Float>
    ) {
        let factor = description.attentionFactor
        // A sine costs about as much as thirty of the operations that blocks are measured in.
        forEachRowBlock(positions.count, columns: frequencies.count * 30) { rows in
            for row in rows {
                for (pair, frequency) in frequencies.enumerated() {
                    let angle = Float(positions.lowerBound + row) * frequency
                    cosines[row, pair] = Foundation.cos(angle) * factor
                    sines[row, pair] = Foundation.sin(angle) * factor
                }
            }
        }
        self.cosines = cosines
        self.sines = sines
    }

    /// The transposed map: turns gradients back.
    var transposed: RotaryEmbedding {
        var negative = Matrix(uninitializedRows: sines.rows, columns: sines.columns)
        let target = negative.mutableView()
        for index in 0..<negative.count { target.base[index] = -sines.base[index] }
        return RotaryEmbedding(cosines: cosines, sines: target)
    }

    init(cosines: MutableMatrixView<Float>, sines: MutableMatrixView<Float>) {
        self.cosines = cosines
        self.sines = sines
    }

    /// Turns every head of x (tokens × heads · headDimension): pair j is (x_j, x_(j + dimensions / 2)).
    func apply(_ x: MutableMatrixView<Float>, headDimension: Int) {
        let rotary = self
        let half = cosines.columns
        forEachRowBlock(x.rows, columns: x.columns) { rows in
            for row in rows {
                let cosines = rotary.cosines.base + row * half
                let sines = rotary.sines.base + row * half
                for start in stride(from: 0, to: x.columns, by: headDimension) {
                    Self.turn(x.base + row * x.rowStride + start, half, cosines, sines)
                }
            }
        }
    }

    @inline(__always)
    private static func turn(
        _ x: UnsafeMutablePointer<Float>, _ half: Int, _ cosines: UnsafeMutablePointer<Float>,
        _ sines: UnsafeMutablePointer<Float>
    ) {
        var j = 0
        while j + VectorMath.width <= half {
            let a = VectorMath.load(x + j), b = VectorMath.load(x + half + j)
            let c = VectorMath.load(cosines + j), s = VectorMath.load(sines + j)
            VectorMath.store(a * c - b * s, x + j)
            VectorMath.store(b * c + a * s, x + half + j)
            j += VectorMath.width
        }
        while j < half {
            let a = x[j], b = x[half + j]
            x[j] = a * cosines[j] - b * sines[j]
            x[half + j] = b * cosines[j] + a * sines[j]
            j += 1
        }
    }
}
