import Foundation
import Kernels
import MatrixCore
import Testing

/// Softmax of runs against the formula in Double.
struct SoftmaxTests {
    @Test(arguments: InstructionSet.available, [1, 2, 7, 8, 9, 15, 16, 17, 31, 100, 1_000])
    func equalsTheFormula(set: InstructionSet, count: Int) {
        let softmax = Softmax(set)
        for magnitude in [0, 1e-30, 1, 30, 1e4] {
            let inputs = (0..<count).map { Float(magnitude * CounterRandom(seed: 4).normal($0)) }
            var found = inputs
            softmax(&found, count)
            let largest = Double(inputs.max() ?? 0)
            let weights = inputs.map { exp(Double($0) - largest) }
            let sum = weights.reduce(0, +)
            for (index, weight) in weights.enumerated() {
                // The difference to the largest is rounded to Float before it is an exponent.
                let tolerance = 1e-6 + 0x1p-23 * abs(Double(inputs[index]) - largest)
                #expect(abs(Double(found[index]) - weight / sum) <= tolerance * weight / sum + 1e-36)
            }
        }
    }

    @Test(arguments: InstructionSet.available)
    func oneNaNMakesAllNaN(set: InstructionSet) {
        let softmax = Softmax(set)
        for place in [0, 3, 16, 20] {
            var values = [Float](repeating: 1, count: 21)
            values[place] = .nan
            softmax(&values, values.count)
            #expect(!values.contains { !$0.isNaN })
        }
    }
}
