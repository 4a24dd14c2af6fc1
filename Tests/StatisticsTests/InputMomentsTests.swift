import Kernels
import MatrixCore
import Testing

@testable import Statistics

/// Tokens that look like activations: features of different sizes, some mixed, one dead.
func tokens(_ count: Int, features: Int, seed: UInt64 = 1) -> Matrix {
    let random = CounterRandom(seed: seed)
    return Matrix(rows: count, columns: features) { token, feature in
        if feature == 3 { return 0 }
        let index = token * features + feature
        let shared = Float(random.normal(token)) * 0.5
        return (Float(random.normal(1_000_000 + index)) + shared) * (1 + Float(feature % 7))
    }
}

struct InputMomentsTests {
    /// Sizes around tiles, chunks of threads, and single tokens and features.
    @Test(arguments: [(1, 1), (1, 5), (5, 1), (33, 17), (128, 64), (129, 129), (70, 300)])
    func sumsAreThoseOfADoubleLoop(count: Int, features: Int) {
        let x = tokens(count, features: features)
        let moments = InputMoments(features: features)
        moments.add(x.view.rows(0..<count / 2))
        moments.add(x.view.rows(count / 2..<count))
        #expect(moments.tokens == count)
        let found = moments.moment
        var fourth = 0.0
        for t in 0..<count {
            let square = (0..<features).reduce(0.0) { $0 + Double(x[t, $1]) * Double(x[t, $1]) }
            fourth += square * square
        }
        #expect(abs(moments.fourthPowerSum - fourth) <= 1e-12 * fourth)
        for i in 0..<features {
            let absolute = (0..<count).reduce(0.0) { $0 + Double(abs(x[$1, i])) }
            #expect(abs(moments.absoluteSums[i] - absolute) <= 1e-13 * absolute)
            for j in 0..<features {
                var sum = 0.0, size = 0.0
                for t in 0..<count {
                    sum += Double(x[t, i]) * Double(x[t, j])
                    size += abs(Double(x[t, i]) * Double(x[t, j]))
                }
                #expect(abs(found[i, j] - sum) <= 1e-13 * size)
            }
        }
    }

    @Test func anyNumberOfThreadsGivesTheSameSums() {
        let before = Threads.count
        defer { Threads.count = before }
        let x = tokens(700, features: 190)
        func sums(_ threads: Int) -> InputMoments {
            Threads.count = threads
            let moments = InputMoments(features: 190)
            moments.add(x.view)
            return moments
        }
        let one = sums(1)
        for threads in [2, 3] {
            let other = sums(threads)
            #expect(other.moment == one.moment)
            #expect(other.absoluteSums == one.absoluteSums)
            #expect(other.fourthPowerSum == one.fourthPowerSum)
        }
    }

    @Test func noTokensAddNothing() {
        let moments = InputMoments(features: 4)
        moments.add(Matrix(rows: 0, columns: 4).view)
        #expect(moments.tokens == 0)
        #expect(moments.moment == Matrix64(rows: 4, columns: 4))
    }
}
