import Kernels
import MatrixCore
import Testing

@testable import LinearAlgebra

/// Equal bytes for any number of threads. The count is shared by all tests; none of them may depend on it.
@Suite(.serialized) struct SVDThreadTests {
    private func onThreads<Value: Equatable>(_ body: () throws -> Value) rethrows -> [Value] {
        defer { Threads.count = 0 }
        return try [1, 2, 3].map { count in
            Threads.count = count
            return try body()
        }
    }

    @Test(arguments: [TruncatedSVD.Route.gram, .direct, .randomized(oversampling: 8, powerIterations: 1, seed: 1)])
    func decompositionsAreTheSame(_ route: TruncatedSVD.Route) throws {
        let a: Matrix = CounterRandom(seed: 4).normalMatrix(rows: 301, columns: 200)
        let factors = try onThreads {
            let result = try TruncatedSVD(route: route).decompose(MatrixOperand(a), rank: 60)
            return [result.u.elements, result.v.elements, result.singularValues.map(Float.init)]
        }
        #expect(factors[0] == factors[1] && factors[0] == factors[2])
    }

    @Test func decompositionsInFloatAreTheSame() throws {
        let a: Matrix = CounterRandom(seed: 6).normalMatrix(rows: 310, columns: 270)
        var svd = TruncatedSVD()
        svd.smallestMixedSide = 1
        let factors = try onThreads {
            let result = try svd.decompose(MatrixOperand(a), rank: 60)
            #expect(result.evidence.solver == .mixed)
            return [result.u.elements, result.v.elements, result.singularValues.map(Float.init)]
        }
        #expect(factors[0] == factors[1] && factors[0] == factors[2])
    }

    @Test func cutsInFloatAreTheSame() throws {
        let a: Matrix = CounterRandom(seed: 7).normalMatrix(rows: 310, columns: 270)
        let ranks = [3, 60, 150]
        var svd = TruncatedSVD(purpose: .truncation)
        svd.smallestMixedSide = 1
        let factors = try onThreads {
            let nested = try NestedSVD(MatrixOperand(a), by: svd, ranks: ranks)
            return try ranks.flatMap { rank in
                let cut = try nested.truncated(to: rank)
                #expect(cut.evidence.solver == .mixed)
                return [cut.u.elements, cut.v.elements, cut.singularValues.map(Float.init)]
            }
        }
        #expect(factors[0] == factors[1] && factors[0] == factors[2])
    }

    @Test func mergesAreTheSame() throws {
        let random = CounterRandom(seed: 5)
        let diagonal = (0..<700).map { random.normal($0) }
        let offDiagonal = (0..<699).map { random.normal(1000 + $0) }
        let results = try onThreads {
            let result = try TridiagonalEigen()
                .decompose(diagonal: diagonal, offDiagonal: offDiagonal, vectors: 100..<500)
            return result.values + result.vectors.elements
        }
        #expect(results[0] == results[1] && results[0] == results[2])
    }
}
