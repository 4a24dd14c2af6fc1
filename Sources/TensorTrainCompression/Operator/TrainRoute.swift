/// How a train is multiplied with tokens: which neighbouring cores are contracted once for the batch, and in which
/// direction the tokens then pass the blocks that result.
///
/// One block is reconstruction, two are a product with two factors, as many as there are cores is the plain sweep. With
/// the ranks of real weights a plain sweep takes many times the multiply-adds of the dense layer, while reconstruction
/// costs as much for one token as for a thousand, so the cheapest way depends on the number of tokens.
///
/// A sweep from the last block to the first takes, at block k of output mode M_k and input mode N_k,
///
///     (N₁ … N_(k−1)) · (N_k R_k) · (R_(k−1) M_k) · (M_(k+1) … M_p)
///
/// multiply-adds a token; the other direction mirrors this.
struct TrainRoute: Equatable {
    enum Direction { case lastToFirst, firstToLast }

    /// The cores of each block.
    let blocks: [Range<Int>]
    let direction: Direction
    /// Multiply-adds once for the batch, and for every token of it.
    let onceMacs: Int
    let tokenMacs: Int

    /// Multiply-adds of a batch; a Double, because that of a bad route may be beyond any Int.
    func macs(tokens: Int) -> Double { Double(onceMacs) + Double(tokens) * Double(tokenMacs) }

    /// The route of the fewest multiply-adds for a batch, among all with up to three blocks and the plain sweep.
    /// - Parameter ranks: r₀ … r_d.
    static func cheapest(_ modes: TrainModes, ranks: [Int], tokens: Int) -> TrainRoute {
        let chain = CoreChain(sizes: modes.sizes, ranks: ranks)
        var best: TrainRoute?
        for blocks in partitions(modes.order) {
            for direction in [Direction.lastToFirst, .firstToLast] {
                let route = TrainRoute(
                    blocks: blocks, direction: direction, onceMacs: blocks.reduce(0) { $0 + chain.macs($1) },
                    tokenMacs: sweepMacs(modes, ranks, blocks, direction))
                if best.map({ route.macs(tokens: tokens) < $0.macs(tokens: tokens) }) ?? true { best = route }
            }
        }
        guard let best else { preconditionFailure("every train can be reconstructed") }
        return best
    }

    private static func partitions(_ order: Int) -> [[Range<Int>]] {
        var result: [[Range<Int>]] = [[0..<order]]
        for first in 1..<max(order, 1) {
            result.append([0..<first, first..<order])
            for second in (first + 1)..<max(order, first + 1) {
                result.append([0..<first, first..<second, second..<order])
            }
        }
        return order > 3 ? result + [(0..<order).map { $0..<($0 + 1) }] : result
    }

    private static func sweepMacs(
        _ modes: TrainModes, _ ranks: [Int], _ blocks: [Range<Int>], _ direction: Direction
    ) -> Int {
        let outputs = blocks.map { modes.outputs[$0].reduce(1, *) }
        let inputs = blocks.map { modes.inputs[$0].reduce(1, *) }
        return blocks.indices.reduce(0) { sum, block in
            let product =
                inputs[block] * outputs[block] * ranks[blocks[block].lowerBound] * ranks[blocks[block].upperBound]
            let (before, behind) = direction == .lastToFirst ? (inputs, outputs) : (outputs, inputs)
            return sum + before[..<block].reduce(1, *) * product * behind[(block + 1)...].reduce(1, *)
        }
    }
}
