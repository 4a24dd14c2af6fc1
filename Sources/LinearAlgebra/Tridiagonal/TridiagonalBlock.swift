import Kernels
import MatrixCore

/// The eigenvectors of a piece of T as rows, in any order, and the way to find them.
struct TridiagonalNode<Element: FactorScalar> {
    /// Ascending.
    let values: [Double]
    /// Row of the vector of each value, from `firstPosition` on.
    let rowOf: [Int]
    /// Position of the first value that has a vector; 0 unless only a range was made.
    var firstPosition = 0
    let vectors: DenseMatrix<Element>  // (count × order)

    var order: Int { values.count }
}

/// A piece of T without negligible off-diagonals: solved up to the vectors of its last merge.
struct TridiagonalBlock<Element: FactorScalar> {
    /// First row of the block in T.
    let start: Int
    let values: [Double]
    private let last: Last

    private enum Last {
        case leaf(TridiagonalNode<Element>)
        case merge(RankOneMerge<Element>)
    }

    /// Nodes of this order or less are solved one per thread, larger ones by all threads together.
    private static var threadedOrder: Int { 256 }

    init(
        diagonal: [Double], offDiagonal: [Double], start: Int, _ options: TridiagonalEigen
    ) throws(LinearAlgebraError) {
        self.start = start
        let leafSize = max(options.leafSize, 1), accuracy = options.precision.accuracy
        let levels = Self.levels(diagonal.count, leafSize)
        let torn = Self.tear(diagonal, offDiagonal, at: levels[0].dropFirst().map(\.lowerBound))
        var nodes = try Self.inParallel(levels[0].count) { (index) throws(LinearAlgebraError) in
            try Self.leaf(Array(torn[levels[0][index]]), Array(offDiagonal[levels[0][index].dropLast()]))
        }
        for level in levels.dropFirst().dropLast() {
            nodes = try Self.mergeLevel(level, nodes, offDiagonal, accuracy)
        }
        if levels.count == 1 {
            last = .leaf(nodes[0])
            values = nodes[0].values
        } else {
            let merge = try RankOneMerge(
                nodes[0], nodes[1], coupling: offDiagonal[nodes[0].order - 1], accuracy: accuracy)
            last = .merge(merge)
            values = merge.values
        }
    }

    /// The vectors of a range of positions.
    func vectors(_ range: Range<Int>) -> TridiagonalNode<Element> {
        switch last {
        case .leaf(let node): node
        case .merge(let merge): merge.node(range)
        }
    }

    /// Ranges of the leaves, of their parents and so on up to the whole: halves as equal as can be, all leaves on one
    /// level.
    private static func levels(_ order: Int, _ leafSize: Int) -> [[Range<Int>]] {
        var levels = [[0..<order]]
        while (levels[0].map(\.count).max() ?? 0) > leafSize, levels[0].allSatisfy({ $0.count >= 2 }) {
            let halves = levels[0].flatMap { range in
                let middle = range.lowerBound + range.count / 2
                return [range.lowerBound..<middle, middle..<range.upperBound]
            }
            levels.insert(halves, at: 0)
        }
        return levels
    }

    /// The diagonal with |e| taken off both neighbours of each cut, so that what is left out is |e|·u·uᵀ.
    private static func tear(_ diagonal: [Double], _ offDiagonal: [Double], at cuts: [Int]) -> [Double] {
        var torn = diagonal
        for cut in cuts {
            torn[cut - 1] -= offDiagonal[cut - 1].magnitude
            torn[cut] -= offDiagonal[cut - 1].magnitude
        }
        return torn
    }

    private static func leaf(
        _ diagonal: [Double], _ offDiagonal: [Double]
    ) throws(LinearAlgebraError) -> TridiagonalNode<Element> {
        var values = diagonal
        var off = offDiagonal + [0]
        var vectors = Matrix64.identity(diagonal.count)
        try ImplicitQL.decompose(&values, &off, rotating: vectors.mutableView())
        var rounded = DenseMatrix<Element>(uninitializedRows: vectors.rows, columns: vectors.columns)
        convert(MatrixOperand(vectors), into: MutableMatrixOperand(rounded.mutableView()))
        return TridiagonalNode(values: values, rowOf: Array(values.indices), vectors: rounded)
    }

    private static func mergeLevel(
        _ level: [Range<Int>], _ nodes: [TridiagonalNode<Element>], _ offDiagonal: [Double], _ accuracy: Double
    ) throws(LinearAlgebraError) -> [TridiagonalNode<Element>] {
        let merge = { (index: Int) throws(LinearAlgebraError) -> TridiagonalNode in
            let first = nodes[2 * index], second = nodes[2 * index + 1]
            let cut = level[index].lowerBound + first.order
            return try RankOneMerge(first, second, coupling: offDiagonal[cut - 1], accuracy: accuracy)
                .node(0..<level[index].count)
        }
        if (level.first?.count ?? 0) <= threadedOrder {
            return try inParallel(level.count, merge)
        }
        var merged: [TridiagonalNode<Element>] = []
        for index in level.indices { merged.append(try merge(index)) }
        return merged
    }

    /// body(0) … body(count − 1) by all threads; the first error in order is thrown.
    private static func inParallel(
        _ count: Int, _ body: (Int) throws(LinearAlgebraError) -> TridiagonalNode<Element>
    ) throws(LinearAlgebraError) -> [TridiagonalNode<Element>] {
        var results = [Result<TridiagonalNode<Element>, LinearAlgebraError>?](repeating: nil, count: count)
        results.withUnsafeMutableBufferPointer { results in
            nonisolated(unsafe) let results = results
            withoutActuallyEscaping(body) { body in
                nonisolated(unsafe) let body = body
                parallelFor(count) { index in
                    do throws(LinearAlgebraError) {
                        results[index] = .success(try body(index))
                    } catch {
                        results[index] = .failure(error)
                    }
                }
            }
        }
        var nodes: [TridiagonalNode<Element>] = []
        for case let result? in results { nodes.append(try result.get()) }
        return nodes
    }
}
