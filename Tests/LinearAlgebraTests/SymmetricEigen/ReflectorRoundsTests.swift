import Synchronization
import Testing

@testable import LinearAlgebra

@Suite struct ReflectorRoundsTests {
    @Test(arguments: [(0, 1, 3), (1, 1, 1), (7, 3, 2), (8, 4, 0), (5, 9, 4)])
    func eachBlockIsMadeOnceAndAppliedToEachPieceAfterThoseBehindIt(_ count: Int, _ perRound: Int, _ pieces: Int) {
        /// For every half of the memory the round whose blocks it holds, and for every piece the blocks it has seen.
        struct State {
            var halves: [Int: [Int]] = [:]
            var made: [Int] = []
            var seen: [Int: [Int]] = [:]
        }
        let state = Mutex(State())
        ReflectorRounds(count: count, perRound: perRound, pieces: pieces).run(
            tasks: { $0.count },
            make: { round, half, task in
                state.withLock {
                    if $0.halves[half]?.allSatisfy(round.contains) != true { $0.halves[half] = [] }
                    $0.halves[half, default: []].append(round.lowerBound + task)
                    $0.made.append(round.lowerBound + task)
                }
            },
            apply: { round, half, piece in
                state.withLock {
                    #expect($0.halves[half]?.sorted() == Array(round))
                    $0.seen[piece, default: []] += round.reversed()
                }
            })
        let final = state.withLock { $0 }
        #expect(final.made.sorted() == Array(0..<count))
        for piece in 0..<(count > 0 ? pieces : 0) { #expect(final.seen[piece] == (0..<count).reversed()) }
    }
}
