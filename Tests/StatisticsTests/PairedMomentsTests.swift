import Kernels
import MatrixCore
import Testing

@testable import Statistics

/// The task of a layer behind compressed ones, against explicit outputs of explicit tokens.
struct PairedMomentsTests {
    private static let count = 150, features = 12, outputs = 7
    private let x = tokens(count, features: features)
    private let seen: Matrix
    private let weight = CounterRandom(seed: 9).normalMatrix(rows: outputs, columns: features) as Matrix
    private let correction: SequentialCorrection

    init() throws {
        let x = x
        let noise = CounterRandom(seed: 5).normalMatrix(rows: Self.count, columns: Self.features) as Matrix
        // What is seen is not only noisy but leans on other features.
        seen = Matrix(rows: Self.count, columns: Self.features) {
            0.8 * x[$0, $1] + 0.3 * x[$0, 0] + 0.4 * noise[$0, $1]
        }
        let moments = PairedMoments(features: Self.features)
        moments.add(x.view.rows(0..<60), seen.view.rows(0..<60))
        moments.add(x.view.rows(60..<Self.count), seen.view.rows(60..<Self.count))
        correction = try moments.correction()
    }

    /// Σ over tokens of ‖left x − right y‖².
    private func error(_ left: Matrix, _ x: Matrix, _ right: Matrix, _ y: Matrix) -> Double {
        var sum = 0.0
        for token in 0..<Self.count {
            for row in 0..<left.rows {
                var difference = 0.0
                for column in 0..<left.columns {
                    difference += Double(left[row, column]) * Double(x[token, column])
                    difference -= Double(right[row, column]) * Double(y[token, column])
                }
                sum += difference * difference
            }
        }
        return sum
    }

    /// Behind layers that give nothing no input says anything, and every weight stays as it is.
    @Test func inputsThatAreAllZeroLeaveTheWeight() throws {
        let moments = PairedMoments(features: Self.features)
        moments.add(x.view, Matrix(rows: Self.count, columns: Self.features).view)
        let correction = try moments.correction()
        let target = correction.target(for: MatrixOperand(weight))
        for row in 0..<Self.outputs {
            for column in 0..<Self.features { #expect(target[row, column] == Double(weight[row, column])) }
        }
        #expect(abs(correction.relativeError(of: weight, for: MatrixOperand(weight)) - 1) < 1e-12)
    }

    private func squares(_ a: Matrix, _ b: Matrix) -> Double {
        zip(a.elements, b.elements).reduce(0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
    }

    /// For any replacement: what is lost in outputs is a constant and its distance from the target in the metric. What
    /// is added to the diagonal of the metric weighs the distance from the weight itself.
    @Test func compressingTheTargetInItsMetricIsTheWholeTask() {
        let wide = correction.target(for: MatrixOperand(weight))
        let target = Matrix(rows: Self.outputs, columns: Self.features) { Float(wide[$0, $1]) }
        let shift = correction.metric.shift
        let constant = error(weight, x, target, seen) + shift * squares(weight, target)
        for seed in 0..<4 {
            let random = CounterRandom(seed: UInt64(20 + seed)).normalMatrix(
                rows: Self.outputs, columns: Self.features) as Matrix
            let replacement = Matrix(rows: Self.outputs, columns: Self.features) {
                weight[$0, $1] + Float(seed) * 0.3 * random[$0, $1]
            }
            let lost = error(weight, x, replacement, seen) + shift * squares(weight, replacement)
            let distance = error(target, seen, replacement, seen) + shift * squares(target, replacement)
            #expect(abs(lost - constant - distance) < 1e-5 * lost)
            #expect(lost >= constant * (1 - 1e-6))
        }
    }

    @Test func errorsAreThoseOfExplicitOutputs() {
        let replacement = Matrix(rows: Self.outputs, columns: Self.features) { weight[$0, $1] * ($1 == 2 ? 0.5 : 1.1) }
        let zero = Matrix(rows: Self.outputs, columns: Self.features)
        let norm = error(weight, x, zero, x)
        let sequential = correction.relativeError(of: replacement, for: MatrixOperand(weight))
        #expect(abs(sequential - (error(weight, x, replacement, seen) / norm).squareRoot()) < 1e-9)
        let isolated = correction.isolatedError(of: replacement, for: MatrixOperand(weight))
        #expect(abs(isolated - (error(weight, x, replacement, x) / norm).squareRoot()) < 1e-9)
    }

    /// Earlier layers of low rank leave directions empty but for rounding; the target must not make much of them.
    @Test func whatOnlyRoundingShowsIsLeftAsItIs() throws {
        let flat = Matrix(rows: Self.count, columns: Self.features) { token, feature in
            feature == 4 ? seen[token, 5] * (1 + 1e-7 * Float(token % 3)) : seen[token, feature]
        }
        let moments = PairedMoments(features: Self.features)
        moments.add(x.view, flat.view)
        let target = try moments.correction().target(for: MatrixOperand(weight))
        #expect(target.elements.allSatisfy { abs($0) < 20 })
    }

    /// Nothing is compressed yet: the layer itself is the best replacement.
    @Test func equalInputsGiveTheWeightItself() throws {
        let moments = PairedMoments(features: Self.features)
        moments.add(x.view, x.view)
        let target = try moments.correction().target(for: MatrixOperand(weight))
        for i in 0..<Self.outputs {
            for j in 0..<Self.features { #expect(abs(target[i, j] - Double(weight[i, j])) < 1e-8) }
        }
    }

    /// What the residual stream lacks is an error like any other: against explicit sums of explicit tokens, and no
    /// neighbour of the target is better.
    @Test func whatTheResidualStreamLacksIsMadeUpFor() throws {
        let stream = CounterRandom(seed: 31).normalMatrix(rows: Self.count, columns: Self.outputs) as Matrix
        // Partly to be seen in the inputs, partly not.
        let seenStream = Matrix(rows: Self.count, columns: Self.outputs) { token, row in
            0.7 * stream[token, row] + 0.5 * seen[token, row]
        }
        let moments = PairedMoments(features: Self.features)
        for rows in [0..<60, 60..<Self.count] {
            moments.add(x.view.rows(rows), seen.view.rows(rows))
            moments.addResiduals(
                stream.view.rows(rows), seenStream.view.rows(rows), at: x.view.rows(rows), seen.view.rows(rows))
        }
        let correction = try moments.correction()
        func error(_ replacement: Matrix) -> Double {
            var sum = 0.0
            for token in 0..<Self.count {
                for row in 0..<Self.outputs {
                    var difference = Double(stream[token, row]) - Double(seenStream[token, row])
                    for column in 0..<Self.features {
                        difference += Double(weight[row, column]) * Double(x[token, column])
                        difference -= Double(replacement[row, column]) * Double(seen[token, column])
                    }
                    sum += difference * difference
                }
            }
            return sum
        }
        let wide = correction.target(for: MatrixOperand(weight))
        let target = Matrix(rows: Self.outputs, columns: Self.features) { Float(wide[$0, $1]) }
        let norm = self.error(weight, x, Matrix(rows: Self.outputs, columns: Self.features), x)
        let relative = correction.relativeError(of: target, for: MatrixOperand(weight))
        #expect(abs(relative - (error(target) / norm).squareRoot()) < 1e-6)
        #expect(error(target) < 0.9 * error(weight))
        for seed in 0..<3 {
            let random = CounterRandom(seed: UInt64(40 + seed)).normalMatrix(
                rows: Self.outputs, columns: Self.features) as Matrix
            let other = Matrix(rows: Self.outputs, columns: Self.features) {
                target[$0, $1] + 0.02 * random[$0, $1]
            }
            #expect(error(other) > error(target))
        }
    }
}
