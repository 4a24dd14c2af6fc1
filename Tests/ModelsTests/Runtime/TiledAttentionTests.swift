import Foundation
import MatrixCore
import Testing

@testable import Models

/// Attention by tiles against the formula, token by token in Double.
struct TiledAttentionTests {
    struct Case: CustomTestStringConvertible {
        var tokens: Int, past = 0, heads = 2, keyValueHeads = 2, dimension = 8
        var isCausal = true, window: Int?
        var magnitude = 1.0
        var testDescription: String {
            "\(tokens) tokens after \(past), \(heads)/\(keyValueHeads) heads of \(dimension)"
                + ", window \(window.map(String.init) ?? "none"), causal \(isCausal), magnitude \(magnitude)"
        }
    }

    static let cases = [
        Case(tokens: 1), Case(tokens: 1, past: 40, heads: 9, keyValueHeads: 3, dimension: 5),
        Case(tokens: 1, past: 3, heads: 7, keyValueHeads: 1, dimension: 16), Case(tokens: 63, dimension: 3),
        Case(tokens: 64), Case(tokens: 65), Case(tokens: 150, heads: 6, keyValueHeads: 2),
        Case(tokens: 150, heads: 4, keyValueHeads: 1, window: 17), Case(tokens: 70, past: 33, window: 1),
        Case(tokens: 20, past: 90, window: 64), Case(tokens: 90, isCausal: false),
        Case(tokens: 40, magnitude: 60), Case(tokens: 70, past: 4_000, heads: 1, keyValueHeads: 1, dimension: 4),
    ]

    @Test(arguments: cases)
    func equalsTheFormula(of test: Case) {
        let random = CounterRandom(seed: 5)
        func matrix(_ rows: Int, _ columns: Int, _ offset: Int) -> Matrix {
            Matrix(rows: rows, columns: columns) {
                Float(test.magnitude * random.normal(offset + $0 * columns + $1))
            }
        }
        let total = test.tokens + test.past
        let query = matrix(test.tokens, test.heads * test.dimension, 0)
        let keys = matrix(total, test.keyValueHeads * test.dimension, 1_000_000)
        let values = matrix(total, test.keyValueHeads * test.dimension, 2_000_000)
        var output = Matrix(rows: test.tokens, columns: test.heads * test.dimension)
        let shape = TiledAttention.Shape(
            heads: test.heads, keyValueHeads: test.keyValueHeads, headDimension: test.dimension, scale: 0.3,
            isCausal: test.isCausal, window: test.window)
        TiledAttention(
            query: query.view, keys: keys.view, values: values.view, output: output.mutableView(), shape: shape,
            start: test.past
        ).run()
        let expected = naive(query, keys, values, shape, test.past)
        #expect(largestDifference(output, expected) <= 2e-5 * Float(max(1, test.magnitude * test.magnitude)))
    }

    private func naive(
        _ query: Matrix, _ keys: Matrix, _ values: Matrix, _ shape: TiledAttention.Shape, _ start: Int
    ) -> Matrix {
        let d = shape.headDimension
        var result = Matrix(rows: query.rows, columns: query.columns)
        for token in 0..<query.rows {
            let visible = (0..<keys.rows).filter { key in
                (!shape.isCausal || key <= start + token) && shape.window.map { key > start + token - $0 } ?? true
            }
            for head in 0..<shape.heads {
                let source = head / (shape.heads / shape.keyValueHeads) * d
                let scores = visible.map { key in
                    (0..<d).reduce(0.0) { $0 + Double(query[token, head * d + $1]) * Double(keys[key, source + $1]) }
                        * Double(shape.scale)
                }
                let largest = scores.max() ?? 0
                let weights = scores.map { exp($0 - largest) }
                let sum = weights.reduce(0, +)
                for j in 0..<d {
                    let mean = zip(visible, weights).reduce(0.0) { $0 + Double(values[$1.0, source + j]) * $1.1 }
                    result[token, head * d + j] = Float(mean / sum)
                }
            }
        }
        return result
    }
}
