import Foundation
import MatrixCore
import Testing

@testable import Models

/// Losses of recovery and their slopes, against the definitions in Double.
struct LossTests {
    private func divergence(_ logits: Matrix, _ reference: Matrix) -> Double {
        var sum = 0.0
        for row in 0..<logits.rows {
            let q = softmax(logits, row), p = softmax(reference, row)
            for (p, q) in zip(p, q) { sum += p * (log(p) - log(q)) }
        }
        return sum
    }

    private func softmax(_ a: Matrix, _ row: Int) -> [Double] {
        let values = (0..<a.columns).map { exp(Double(a[row, $0])) }
        let sum = values.reduce(0, +)
        return values.map { $0 / sum }
    }

    /// Widths around a vector's and around the stretch of a sum.
    @Test(arguments: [1, 2, 7, 8, 9, 511, 512, 521])
    func divergenceAndItsSlopeAreTheDefinitions(vocabulary: Int) {
        let logits = RandomBlock.matrix(3, vocabulary, seed: 1, scale: 2)
        let reference = RandomBlock.matrix(3, vocabulary, seed: 2, scale: 2)
        var slopes = logits
        let found = PredictionLoss.divergence(slopes.mutableView(), reference: reference.view)
        #expect(abs(found - divergence(logits, reference)) <= 1e-5 * max(1, found))
        for row in 0..<3 {
            for (column, pair) in zip(softmax(logits, row), softmax(reference, row)).enumerated() {
                #expect(abs(Double(slopes[row, column]) - (pair.0 - pair.1)) < 1e-6)
            }
        }
    }

    @Test func equalPredictionsHaveNoDivergence() {
        let logits = RandomBlock.matrix(4, 33, seed: 5, scale: 4)
        var slopes = logits
        #expect(abs(PredictionLoss.divergence(slopes.mutableView(), reference: logits.view)) < 1e-6)
        #expect(slopes.elements.allSatisfy { abs($0) < 1e-6 })
    }

    @Test func distanceOfHiddenStatesIsRelative() {
        let x = Matrix(rows: 2, columns: 2, elements: [1, 2, 3, 4])
        let t = Matrix(rows: 2, columns: 2, elements: [1, 0, 3, 0])
        var slope = Matrix(rows: 2, columns: 2)
        let loss = HiddenStateLoss.compute(x.view, reference: t.view, gradient: slope.mutableView())
        #expect(abs(loss - 0.5 * 20 * 2 / 10) < 1e-12)
        #expect(slope.elements == [0, 0.4, 0, 0.8])
    }

    @Test func adamComesToTheMinimumOfABowl() {
        var tensors = ["a": Matrix(rows: 1, columns: 2, elements: [3, -1])]
        var optimizer = AdamOptimizer(for: tensors)
        let schedule = RateSchedule(peak: 0.05, steps: 400)
        for step in 0..<400 {
            guard let a = tensors["a"] else { return }
            let slope = Matrix(rows: 1, columns: 2, elements: [a[0, 0] - 1, 10 * (a[0, 1] - 2)])
            optimizer.step(&tensors, gradients: ["a": slope], rate: schedule.rate(at: step))
        }
        let end = tensors["a"]?.elements ?? []
        #expect(zip(end, [1, 2]).allSatisfy { abs($0 - $1) < 1e-2 })
    }

    @Test func theRateRisesAndFallsToNothing() {
        let schedule = RateSchedule(peak: 2, steps: 100)
        #expect(schedule.rate(at: 0) < 0.11)
        #expect(schedule.rate(at: 30) > schedule.rate(at: 60))
        #expect(schedule.rate(at: 99) < 0.01)
        #expect(RateSchedule(peak: 2, steps: 1).rate(at: 0) == 2)
    }
}
