import Kernels
import MatrixCore

/// The eigenvectors of a piece of T as rows, in any order, and the way to find them; or what a merge needs of them to
/// find its eigenvalues, their first and last component.
struct TridiagonalNode {
    /// Ascending.
    let values: [Double]
    /// Row of the vector of each value, from `firstPosition` on.
    let rowOf: [Int]
    /// Position of the first value that has a vector; 0 unless only a range was made.
    var firstPosition = 0
    let vectors: Matrix64  // (count × order), or (count × 2)

    var order: Int { values.count }
}

/// A piece of T without negligible off-diagonals: solved up to the vectors of its last merge.
struct TridiagonalBlock {
    /// What is made of the vectors of all nodes but the last merge.
    enum Kept {
        case vectors
        /// Enough for the eigenvalues, by n² operations in place of n³.
        case ends
    }

    /// First row of the block in T.
    let start: Int
    let diagonal: [Double]
    let offDiagonal: [Double]
    let kept: Kept
    /// Ascending.
    let values: [Double]
    private let leafSize: Int
    private let last: Last

    private enum Last {
        case leaf(TridiagonalNode)
        case merge(RankOneMerge)
    }

    /// Nodes of this order or less are solved one per thread, larger ones by all threads together.
    private static var threadedOrder: Int { 256 }

    init(
        diagonal: [Double], offDiagonal: [Double], start: Int, leafSize: Int, keeping kept: Kept = .vectors
    ) throws(LinearAlgebraError) {
        self.start = start
        self.diagonal = diagonal
        self.offDiagonal = offDiagonal
        self.kept = kept
        self.leafSize = leafSize
        let levels = Self.levels(diagonal.count, max(leafSize, 1))
        let torn = Self.tear(diagonal, offDiagonal, at: levels[0].dropFirst().map(\.lowerBound))
        var nodes = try Self.inParallel(levels[0].count) { (index) throws(LinearAlgebraError) in
            try Self.leaf(Array(torn[levels[0][index]]), Array(offDiagonal[levels[0][index].dropLast()]), kept)
        }
        for level in levels.dropFirst().dropLast() {
            nodes = try Self.mergeLevel(level, nodes, offDiagonal, kept)
        }
        if levels.count == 1 {
            last = .leaf(nodes[0])
            values = nodes[0].values
        } else {
            let merge = try RankOneMerge(nodes[0], nodes[1], coupling: offDiagonal[nodes[0].order - 1])
            last = .merge(merge)
            values = merge.values
        }
    }

    /// The same block with what its vectors are made from.
    func solvedForVectors() throws(LinearAlgebraError) -> TridiagonalBlock {
        try TridiagonalBlock(diagonal: diagonal, offDiagonal: offDiagonal, start: start, leafSize: leafSize)
    }

    /// The vectors of a range of positions; those of all nodes must have been kept.
    func vectors(_ range: Range<Int>) -> TridiagonalNode {
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
        _ diagonal: [Double], _ offDiagonal: [Double], _ kept: Kept
    ) throws(LinearAlgebraError) -> TridiagonalNode {
        let n = diagonal.count
        var values = diagonal
        var off = offDiagonal + [0]
        // Rotations mix whole rows, and so any columns of them.
        var vectors =
            kept == .ends ? Matrix64(rows: n, columns: 2) { $0 == $1 * (n - 1) ? 1 : 0 } : Matrix64.identity(n)
        try ImplicitQL.decompose(&values, &off, rotating: vectors.mutableView())
        return TridiagonalNode(values: values, rowOf: Array(values.indices), vectors: vectors)
    }

    private static func mergeLevel(
        _ level: [Range<Int>], _ nodes: [TridiagonalNode], _ offDiagonal: [Double], _ kept: Kept
    ) throws(LinearAlgebraError) -> [TridiagonalNode] {
        let merge = { (index: Int) throws(LinearAlgebraError) -> TridiagonalNode in
            let first = nodes[2 * index], second = nodes[2 * index + 1]
            let cut = level[index].lowerBound + first.order
            let merge = try RankOneMerge(first, second, coupling: offDiagonal[cut - 1])
            return kept == .ends ? merge.ends() : merge.node(0..<level[index].count)
        }
        if (level.first?.count ?? 0) <= threadedOrder {
            return try inParallel(level.count, merge)
        }
        var merged: [TridiagonalNode] = []
        for index in level.indices { merged.append(try merge(index)) }
        return merged
    }

    /// body(0) … body(count − 1) by all threads; the first error in order is thrown.
    private static func inParallel(
        _ count: Int, _ body: (Int) throws(LinearAlgebraError) -> TridiagonalNode
    ) throws(LinearAlgebraError) -> [TridiagonalNode] {
        var results = [Result<TridiagonalNode, LinearAlgebraError>?](repeating: nil, count: count)
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
        var nodes: [TridiagonalNode] = []
        for case let result? in results { nodes.append(try result.get()) }
        return nodes
    }
}
