import KernelContract
import MatrixCore
import Testing

@testable import Kernels

/// Sums and products over poles against plain loops, at counts around a vector and with ranges that end anywhere.
@Suite struct SecularKernelTests {
    /// Poles one to two apart and roots between them; behind the end, numbers that must not count.
    private struct Problem {
        let count: Int
        let poles, weights, origins, offsets: AlignedBuffer<Double>

        init(_ count: Int) {
            self.count = count
            let random = CounterRandom(seed: 9)
            func buffer(_ value: (Int) -> Double) -> AlignedBuffer<Double> {
                let padding = SecularKernels.padding
                let result = AlignedBuffer<Double>(
                    count: (count + padding - 1) / padding * padding + padding, repeating: .nan)
                for i in 0..<count { result.base[i] = value(i) }
                return result
            }
            poles = buffer { 1.5 * Double($0) + random.uniform($0) / 2 }
            weights = buffer { random.normal(1000 + $0) }
            origins = buffer { 1.5 * Double($0) + random.uniform($0) / 2 }
            offsets = buffer { 0.1 + 0.8 * random.uniform(2000 + $0) }
        }

        func difference(_ j: Int, _ i: Int) -> Double { (poles.base[j] - origins.base[i]) - offsets.base[i] }
    }

    private static let counts = [1, 2, 3, 7, 8, 9, 15, 16, 17, 24, 31, 40, 101]

    private func expectClose(_ found: Double, _ wanted: Double, _ size: Double, _ label: String) {
        #expect((found - wanted).magnitude <= 1e-14 * max(size, wanted.magnitude), "\(label)")
    }

    @Test(arguments: InstructionSet.available)
    func sumsAreThoseOfTheirRanges(_ set: InstructionSet) {
        for count in Self.counts {
            let problem = Problem(count)
            for (root, lower, upper) in [(0, 0, 0), (0, 1, 1), (count / 2, count / 2, min(count / 2 + 2, count)),
                (count - 1, count - 1, count), (count / 3, count, count)] {
                var found = [Double](repeating: .nan, count: 4)
                found.withUnsafeMutableBufferPointer {
                    guard let sums = $0.baseAddress else { return }
                    set.kernels.secular.sums(
                        SecularSums(
                            poles: problem.poles.base, weights: problem.weights.base, count: count, lower: lower,
                            upper: upper, origin: problem.origins.base[root], offset: problem.offsets.base[root],
                            sums: sums))
                }
                for (slot, range) in [(0, 0..<lower), (2, min(upper, count)..<count)] {
                    let shares = range.map { problem.weights.base[$0] / problem.difference($0, root) }
                    let terms = zip(range, shares).map { problem.weights.base[$0] * $1 }
                    let size = terms.reduce(0) { $0 + $1.magnitude }
                    expectClose(found[slot], terms.reduce(0, +), size, "\(count), \(range)")
                    expectClose(found[slot + 1], shares.reduce(0) { $0 + $1 * $1 }, 0, "\(count), \(range), squares")
                }
            }
        }
    }

    @Test(arguments: InstructionSet.available)
    func productsLeaveOutTheirOwnPole(_ set: InstructionSet) {
        for count in Self.counts {
            let problem = Problem(count)
            for index in 0..<count {
                var found = Double.nan
                set.kernels.secular.product(
                    SecularProduct(
                        poles: problem.poles.base, origins: problem.origins.base, offsets: problem.offsets.base,
                        count: count, index: index, product: &found))
                let wanted = (0..<(count - 1)).reduce(1.0) { product, i in
                    let pole = i < index ? i : i + 1
                    return product * problem.difference(index, i)
                        / (problem.poles.base[index] - problem.poles.base[pole])
                }
                expectClose(found, wanted, 20 * wanted.magnitude, "\(count), pole \(index)")
            }
        }
    }

    @Test(arguments: InstructionSet.available)
    func vectorsHaveLengthOneAndTheDirectionAskedFor(_ set: InstructionSet) {
        for count in Self.counts {
            let problem = Problem(count), root = count / 2
            let vector = AlignedBuffer<Double>(count: count + 2 * SecularKernels.padding, repeating: .nan)
            set.kernels.secular.vector(
                SecularVector(
                    poles: problem.poles.base, weights: problem.weights.base, count: count,
                    origin: problem.origins.base[root], offset: problem.offsets.base[root], vector: vector.base))
            let shares = (0..<count).map { problem.weights.base[$0] / problem.difference($0, root) }
            let length = shares.reduce(0) { $0 + $1 * $1 }.squareRoot()
            for j in 0..<count { expectClose(vector.base[j], shares[j] / length, 1, "\(count), number \(j)") }
        }
    }
}
