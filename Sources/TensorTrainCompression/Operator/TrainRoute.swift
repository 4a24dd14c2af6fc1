/// How a train is multiplied with tokens: which neighbouring cores are contracted once for the batch, and in which
/// direction the tokens then pass the blocks that result.
///
/// One block is W' formed part by part, two are a product with two factors, as many as there are cores is the plain
/// sweep. With the ranks of real weights a plain sweep takes many times the multiply-adds of the dense layer, while
/// reconstruction costs as much for one token as for a thousand, so the cheapest way depends on the number of tokens.
///
/// A sweep from the last block to the first takes, at block k of output mode M_k and input mode N_k,
///
///     (N₁ … N_(k−1)) · (N_k R_k) · (R_(k−1) M_k) · (M_(k+1) … M_p)
///
/// multiply-adds a token; the other direction mirrors this. A batch takes the route of the least time, which is more
/// than multiply-adds (`TrainCost`); a single token is bound by reading numbers, and takes the fewest multiply-adds.
struct TrainRoute: Equatable {
    enum Direction { case lastToFirst, firstToLast }

    /// The cores of each block.
    let blocks: [Range<Int>]
    let direction: Direction
    /// Multiply-adds once for the batch, and for every token of it.
    let onceMacs: Int
    let tokenMacs: Int

    /// Time once for the batch, as `TrainCost` has it.
    private let onceCost: Double
    /// (produced × consumed) · (consumed × behind) at every block in the order of the sweep, `count` times a token.
    private let stages: [Stage]

    private struct Stage: Equatable {
        let count: Int
        let produced: Int
        let consumed: Int
        let behind: Int
    }

    /// - Parameter ranks: r₀ … r_d.
    private init(
        _ modes: TrainModes, _ ranks: [Int], _ chain: CoreChain, blocks: [Range<Int>], _ direction: Direction
    ) {
        self.blocks = blocks
        self.direction = direction
        stages = Self.stages(modes, ranks, blocks, direction)
        onceMacs = blocks.reduce(0) { $0 + chain.macs($1) }
        tokenMacs = stages.reduce(0) { $0 + $1.count * $1.produced * $1.consumed * $1.behind }
        // Contracted blocks are put in order, and all but the first direction's are turned.
        let numbers = blocks.map { block in
            ranks[block.lowerBound] * modes.sizes[block].reduce(1, *) * ranks[block.upperBound]
        }
        let gathered = zip(blocks, numbers).reduce(0) { $0 + ($1.0.count > 1 ? $1.1 : 0) }
        let turned = blocks.count > 1 && direction == .firstToLast ? numbers.reduce(0, +) : 0
        onceCost = blocks.reduce(TrainCost.moved * Double(gathered + turned)) { $0 + chain.cost($1) }
    }

    /// Multiply-adds of a batch; a Double, because that of a bad route may be beyond any Int.
    func macs(tokens: Int) -> Double { Double(onceMacs) + Double(tokens) * Double(tokenMacs) }

    /// Time of a batch in multiply-adds of a large product.
    func cost(tokens: Int) -> Double {
        stages.reduce(onceCost) { sum, stage in
            let count = stage.count * tokens
            // Where nothing is left behind a block, all its products are one.
            return sum
                + (stage.behind == 1
                    ? TrainCost.product(count, stage.consumed, stage.produced)
                    : Double(count) * TrainCost.product(stage.produced, stage.consumed, stage.behind))
        }
    }

    /// The route of the least time for a batch, and of the fewest multiply-adds for a single token, among all with up
    /// to three blocks and the plain sweep.
    /// - Parameter ranks: r₀ … r_d.
    static func cheapest(_ modes: TrainModes, ranks: [Int], tokens: Int) -> TrainRoute {
        let chain = CoreChain(sizes: modes.sizes, ranks: ranks)
        let routes = partitions(modes.order).flatMap { blocks in
            [Direction.lastToFirst, .firstToLast].map { TrainRoute(modes, ranks, chain, blocks: blocks, $0) }
        }
        let effort = { (route: TrainRoute) in tokens == 1 ? route.macs(tokens: 1) : route.cost(tokens: tokens) }
        guard let best = routes.map({ (route: $0, effort: effort($0)) }).min(by: { $0.effort < $1.effort }) else {
            preconditionFailure("every train can be reconstructed")
        }
        return best.route
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

    private static func stages(
        _ modes: TrainModes, _ ranks: [Int], _ blocks: [Range<Int>], _ direction: Direction
    ) -> [Stage] {
        let outputs = blocks.map { modes.outputs[$0].reduce(1, *) }
        let inputs = blocks.map { modes.inputs[$0].reduce(1, *) }
        let stages = blocks.indices.map { block in
            let (left, right) = (ranks[blocks[block].lowerBound], ranks[blocks[block].upperBound])
            let isBackwards = direction == .lastToFirst
            let (before, behind) = isBackwards ? (inputs, outputs) : (outputs, inputs)
            return Stage(
                count: before[..<block].reduce(1, *), produced: outputs[block] * (isBackwards ? left : right),
                consumed: inputs[block] * (isBackwards ? right : left), behind: behind[(block + 1)...].reduce(1, *))
        }
        return direction == .lastToFirst ? stages.reversed() : stages
    }
}
