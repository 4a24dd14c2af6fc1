import LinearAlgebra
import MatrixCore
import Testing

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
        let nested = try NestedSVD(a, route: route) { _ in ranks }
        for rank in nested.ranks {
            let cut = try nested.truncated(to: rank), alone = try TruncatedSVD(route: route).decompose(a) { _ in rank }
            #expect(bits(cut.u) == bits(alone.u), "U of rank \(rank), \(a.rows) × \(a.columns) \(route)")
            #expect(bits(cut.v) == bits(alone.v), "V of rank \(rank), \(a.rows) × \(a.columns) \(route)")
            #expect(cut.singularValues == alone.singularValues)
            #expect(cut.evidence.solver == alone.evidence.solver)
            #expect(cut.evidence.truncationError == alone.evidence.truncationError)
            #expect(cut.evidence.excessEstimate == alone.evidence.excessEstimate)
        }
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
