import Kernels

/// Blocks of reflectors that are made in rounds, each applied to all pieces of X before the next.
///
/// There is memory for two rounds: while threads apply one, those that find no piece left make the blocks of the next,
/// so that none waits for the last piece.
struct ReflectorRounds {
    /// In the order in which they are applied.
    let rounds: [Range<Int>]
    /// Pieces of X.
    let pieces: Int

    /// Cuts 0 ..< count into rounds, from the last.
    init(count: Int, perRound: Int, pieces: Int) {
        rounds = stride(from: count, to: 0, by: -perRound).map { max(0, $0 - perRound)..<$0 }
        self.pieces = pieces
    }

    /// - Parameters:
    ///   - tasks: how many calls of `make` a round takes.
    ///   - make: the round, which half of the memory it has, and which call it is.
    ///   - apply: the round, its half, and the piece.
    func run(
        tasks: (Range<Int>) -> Int, make: @Sendable (Range<Int>, _ half: Int, _ task: Int) -> Void,
        apply: @Sendable (Range<Int>, _ half: Int, _ piece: Int) -> Void
    ) {
        guard let first = rounds.first else { return }
        parallelFor(tasks(first)) { make(first, 0, $0) }
        for (index, round) in rounds.enumerated() {
            let next = index + 1 < rounds.count ? rounds[index + 1] : 0..<0
            parallelFor(pieces + (next.isEmpty ? 0 : tasks(next))) { task in
                if task < pieces {
                    apply(round, index % 2, task)
                } else {
                    make(next, (index + 1) % 2, task - pieces)
                }
            }
        }
    }
}
