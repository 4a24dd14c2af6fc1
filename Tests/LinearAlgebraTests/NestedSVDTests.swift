import Foundation
import Kernels
import MatrixCore
import Testing

@testable import LinearAlgebra

/// Truncations that are cut from one decomposition are those that each rank alone gives, to the bit.
struct NestedSVDTests {
    /// A matrix with a spectrum that falls by a power, in the type of an element.
    private func matrix(_ rows: Int, _ columns: Int, decay: Double, seed: UInt64) -> Matrix64 {
        let random = CounterRandom(seed: seed)
        let noise: Matrix64 = random.normalMatrix(rows: rows, columns: columns)
        return Matrix64(rows: rows, columns: columns) { i, j in
            var scale = 1.0
            for _ in 0..<Int(decay) { scale /= Double(1 + (i + 3 * j) % 97) }
            return noise[i, j] * scale
        }
    }

    private func operand(_ matrix: Matrix64, _ type: ElementType) -> MatrixOperand {
        switch type {
        case .float64: MatrixOperand(matrix)
        default: MatrixOperand(Matrix(rows: matrix.rows, columns: matrix.columns) { Float(matrix[$0, $1]) })
        }
    }

    private func bits(_ matrix: Matrix) -> [UInt32] {
        (0..<matrix.rows).flatMap { row in (0..<matrix.columns).map { matrix[row, $0].bitPattern } }
    }

    private func expectSame(_ a: MatrixOperand, ranks: [Int], route: TruncatedSVD.Route) throws {
        let nested = try NestedSVD(a, by: TruncatedSVD(route: route)) { _ in ranks }
        for rank in nested.ranks {
            let alone = try TruncatedSVD(route: route).decompose(a) { _ in rank }
            expectSame(try nested.truncated(to: rank), alone, "rank \(rank), \(a.rows) × \(a.columns) \(route)")
        }
    }

    private func expectSame(_ cut: SVDResult, _ alone: SVDResult, _ label: String) {
        #expect(bits(cut.u) == bits(alone.u), "U of \(label)")
        #expect(bits(cut.v) == bits(alone.v), "V of \(label)")
        #expect(cut.singularValues == alone.singularValues, "\(label)")
        #expect(cut.evidence.solver == alone.evidence.solver, "\(label)")
        #expect(cut.evidence.truncationError == alone.evidence.truncationError, "\(label)")
        #expect(cut.evidence.excessEstimate == alone.evidence.excessEstimate, "\(label)")
    }

    /// Ranks that are given are tried in Float; which of them pass, and what they are, no other rank has a say in.
    /// - Returns: the solvers of the cuts.
    private func solversOfGivenRanks(_ a: MatrixOperand, _ ranks: [Int], _ label: String) throws -> Set<String> {
        var solvers = Set<String>()
        for purpose in [TruncatedSVD.Purpose.singularVectors, .truncation] {
            var svd = TruncatedSVD(purpose: purpose)
            svd.smallestMixedSide = 1
            let nested = try NestedSVD(a, by: svd, ranks: ranks)
            for rank in ranks {
                let alone = try svd.decompose(a, rank: rank)
                solvers.insert(alone.evidence.solver.rawValue)
                expectSame(try nested.truncated(to: rank), alone, "\(label), rank \(rank), \(purpose)")
            }
        }
        return solvers
    }

    @Test(arguments: [(70, 60), (301, 97), (90, 300), (320, 290)])
    func givenRanksAreDecidedOneByOne(shape: (Int, Int)) throws {
        let side = min(shape.0, shape.1)
        let ranks = [1, 2, 5, 8, 9, 17, side / 4, side / 2, side - 1, side]
        for decay in [0.0, 1, 2] {
            let a = operand(matrix(shape.0, shape.1, decay: decay, seed: 7), .float32)
            let solvers = try solversOfGivenRanks(a, ranks, "decay \(decay)")
            #expect(decay > 0 || solvers.contains("mixed"))
            _ = try solversOfGivenRanks(a, ranks.reversed(), "decay \(decay), reversed")
        }
    }

    /// Spectra of which Float can show some cuts to be good and others not; from 16-bit storage too.
    @Test(arguments: [ElementType.float32, .bfloat16])
    func someCutsAreInFloatAndOthersNot(type: ElementType) throws {
        let spectra: [(String, (Int) -> Double)] = [
            ("graded", { pow(10, -3 * Double($0) / 79) }), ("steps", { $0 < 20 ? 4 : $0 < 60 ? 3 : 1e-3 }),
            ("deficient", { $0 < 50 ? 1 : 0 }), ("clustered", { [3, 1, 0.2, 1e-4][$0 / 20] }),
        ]
        var solvers = Set<String>()
        for (name, value) in spectra {
            let wide = LinearAlgebraTests.matrix(rows: 100, columns: 80, spectrum: (0..<80).map(value))
            let buffer = AlignedBuffer<UInt8>(uninitializedCount: wide.count * type.bytes)
            let target = MutableMatrixOperand(
                base: buffer.base, type: type, rows: 100, columns: 80, rowStride: 80, owner: buffer)
            convert(MatrixOperand(wide), into: target)
            let a = MatrixOperand(base: buffer.base, type: type, rows: 100, columns: 80, rowStride: 80, owner: buffer)
            solvers.formUnion(try solversOfGivenRanks(a, [1, 10, 20, 30, 40, 50, 55, 60, 70, 79], name))
        }
        #expect(solvers.contains("mixed") && solvers.contains("gram"))
    }

    @Test(arguments: [(40, 24), (97, 301), (320, 290), (513, 300)], [ElementType.float32, .float64])
    func everyCutIsTheTruncationOfItsRank(shape: (Int, Int), type: ElementType) throws {
        let side = min(shape.0, shape.1)
        let ranks = [1, 2, 3, 5, 8, 9, 17, side / 4, side / 2, side - 1, side]
        for decay in [0.0, 1, 2] {
            let a = operand(matrix(shape.0, shape.1, decay: decay, seed: 7), type)
            try expectSame(a, ranks: ranks, route: .automatic)
            try expectSame(a, ranks: ranks.reversed(), route: .gram)
        }
    }

    @Test func theDirectRouteIsSharedToo() throws {
        let a = operand(matrix(90, 60, decay: 2, seed: 3), .float32)
        try expectSame(a, ranks: [1, 7, 30, 59], route: .direct)
    }

    /// Deflation in the tridiagonal solver leaves few vectors to multiply by: duplicates, zeros, low rank, a diagonal.
    @Test func degenerateMatricesAreCutTheSameWay() throws {
        let noise = matrix(300, 280, decay: 0, seed: 11)
        let cases: [(Int, Int) -> Double] = [
            { i, j in noise[i % 5, j] }, { i, j in i == j ? Double(i % 3 + 1) : 0 }, { _, _ in 0 },
            { i, j in i < 20 && j < 20 ? noise[i, j] : 0 }, { i, j in i == j ? 1 / Double(1 + i) : 0 },
        ]
        for (index, element) in cases.enumerated() {
            let a = MatrixOperand(Matrix(rows: 300, columns: 280) { Float(element($0, $1)) })
            try expectSame(a, ranks: [1, 4, 8, 12, 40, 200, 279], route: index == 4 ? .gram : .automatic)
            _ = try solversOfGivenRanks(a, [1, 4, 8, 12, 40, 200, 279], "case \(index)")
        }
    }

    @Test func ranksFollowFromTheSpectrum() throws {
        let a = operand(matrix(60, 50, decay: 1, seed: 5), .float32)
        let nested = try NestedSVD(a) { values in [values.prefix { $0 > values[0] / 2 }.count, values.count + 3] }
        #expect(nested.ranks.last == 50)
        let first = nested.ranks[0]
        #expect(try nested.truncated(to: first).rank == first)
    }
}
