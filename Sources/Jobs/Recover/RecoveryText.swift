import MatrixCore
import Models

/// The sequences of a recovery: some to learn from, some to hold out.
struct RecoveryText {
    let sequences: [[Int32]]
    /// Where the tokens of each sequence stand among all.
    let places: [Range<Int>]
    /// Numbers of the sequences that are learned from.
    let training: [Int]
    let heldOut: [Int]

    /// - Parameter share: of the sequences to hold out; every so many-th of them is.
    /// - Throws: `JobError.usage` where nothing is left on one side.
    init(_ sequences: [[Int32]], heldOut share: Double) throws {
        self.sequences = sequences
        let distance = max(2, Int((1 / share).rounded()))
        heldOut = sequences.indices.filter { $0 % distance == distance - 1 || sequences.count <= distance && $0 == 1 }
        let isHeldOut = Set(heldOut)
        training = sequences.indices.filter { !isHeldOut.contains($0) }
        guard !training.isEmpty, !heldOut.isEmpty else {
            throw JobError.usage("recovery needs two sequences at least, to learn from and to hold out; give more text")
        }
        places = TokenBatch(lengths: sequences.map(\.count)).sequences
    }

    var tokens: Int { places.last?.upperBound ?? 0 }
    var trainingTokens: Int { training.reduce(0) { $0 + sequences[$1].count } }
    var heldOutTokens: Int { heldOut.reduce(0) { $0 + sequences[$1].count } }

    /// The batches of an epoch: all sequences to learn from, in an order that the seed and the epoch decide.
    func batches(epoch: Int, seed: UInt64, tokensPerStep: Int) -> [[Int]] {
        let random = CounterRandom(seed: seed, stream: UInt64(epoch))
        let order = training.sorted { (random.bits($0), $0) < (random.bits($1), $1) }
        return batches(of: order, tokensPerStep)
    }

    func heldOutBatches(tokensPerStep: Int) -> [[Int]] { batches(of: heldOut, tokensPerStep) }

    /// Whole sequences as long as they fit.
    private func batches(of order: [Int], _ limit: Int) -> [[Int]] {
        var batches: [[Int]] = []
        var tokens = 0
        for sequence in order {
            let count = sequences[sequence].count
            if batches.isEmpty || tokens + count > limit {
                batches.append([])
                tokens = 0
            }
            batches[batches.count - 1].append(sequence)
            tokens += count
        }
        return batches
    }

    func batch(_ numbers: [Int]) -> TokenBatch { TokenBatch(lengths: numbers.map { sequences[$0].count }) }

    /// Hidden states of some sequences (tokens × hidden), out of a file with those of all.
    func rows(of numbers: [Int], in states: HiddenStates, hidden: Int) throws -> Matrix {
        var result = Matrix(uninitializedRows: numbers.reduce(0) { $0 + sequences[$1].count }, columns: hidden)
        let target = result.mutableView()
        var start = 0
        for number in numbers {
            let count = sequences[number].count
            try states.read(places[number], into: target.rows(start..<start + count))
            start += count
        }
        return result
    }

    /// Embeddings of some sequences (tokens × hidden).
    func embeddings(of numbers: [Int], _ model: Model, _ state: SequenceState) throws -> Matrix {
        var result = Matrix(
            uninitializedRows: numbers.reduce(0) { $0 + sequences[$1].count }, columns: model.description.hidden)
        let target = result.mutableView()
        var start = 0
        for number in numbers {
            let embedded = try model.embeddings(of: sequences[number], state)
            (target.base + start * target.rowStride).update(from: embedded.base, count: embedded.rows * target.columns)
            start += embedded.rows
        }
        return result
    }
}
