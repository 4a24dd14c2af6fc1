import Foundation
import MatrixCore
import Testing

@testable import Models

/// Vector loops against the system's functions in Double.
struct VectorMathTests {
    @Test func exponentialIsWithinTwoUnitsOfTheLastPlace() {
        for step in -8_700...8_860 {
            let x = Float(step) / 100
            let found = Double(VectorMath.exponential(VectorMath.Lanes(repeating: x))[3])
            let expected = exp(Double(x))
            #expect(abs(found - expected) <= expected * 0x1p-22, "e^\(x)")
        }
    }

    @Test func exponentialKeepsNaNAndEndsAtZeroAndInfinity() {
        func e(_ x: Float) -> Float { VectorMath.exponential(VectorMath.Lanes(repeating: x))[0] }
        #expect(e(.nan).isNaN)
        #expect(e(-.infinity) < 1.2e-38)
        #expect(e(.infinity) > 3.4e38)
        #expect(e(0) == 1)
    }

    @Test(arguments: [1, 2, 7, 8, 9, 16, 17, 100])
    func sumsAndMaximaOfAnyLength(count: Int) {
        let numbers = (0..<count).map { Float(CounterRandom(seed: 2).normal($0)) }
        #expect(abs(VectorMath.sum(numbers, count) - numbers.reduce(0, +)) < 1e-4)
        #expect(VectorMath.maximum(numbers, count) == numbers.max())
        for place in 0..<count {
            var broken = numbers
            broken[place] = .nan
            #expect(VectorMath.maximum(broken, count).isNaN)
        }
    }

    static let formulas: [(name: String, formula: @Sendable (Double) -> Double)] = [
        ("silu", { $0 / (1 + exp(-$0)) }),
        ("gelu", { $0 * 0.5 * (1 + erf($0 / 2.0.squareRoot())) }),
        ("gelu_new", { 0.5 * $0 * (1 + tanh((2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0))) }),
        ("quick_gelu", { $0 / (1 + exp(-1.702 * $0)) }),
        ("relu", { max($0, 0) }),
    ]

    @Test(arguments: formulas)
    func activationsFollowTheirFormulas(name: String, formula: @Sendable (Double) -> Double) throws {
        let inputs = (0..<601).map { Float($0 - 300) / 20 }
        var x = Matrix(rows: 1, columns: inputs.count, elements: inputs)
        try #require(Activation(name: name)).apply(x.mutableView())
        for (input, output) in zip(inputs, x.elements) {
            let expected = formula(Double(input))
            #expect(abs(Double(output) - expected) <= 4e-7 * max(1, abs(Double(input))), "\(name)(\(input))")
        }
    }
}
