import Testing

@testable import MatrixCore

@Suite struct MemoryReserveTests {
    private static let mebibyte = 1 << 20

    private func block(_ reserve: MemoryReserve, _ mebibytes: Int) -> (memory: UnsafeMutableRawPointer, bytes: Int) {
        reserve.take(mebibytes * Self.mebibyte)
    }

    @Test func aBlockServesTheNextRequestAndKeepsWhatItHasToSpare() {
        let reserve = MemoryReserve()
        let first = block(reserve, 16)
        reserve.give(first.memory, bytes: first.bytes)
        let second = block(reserve, 10), third = block(reserve, 6)
        #expect(second.memory == first.memory && second.bytes == 10 * Self.mebibyte)
        #expect(third.memory == first.memory + 10 * Self.mebibyte && third.bytes == 6 * Self.mebibyte)
        #expect(reserve.figures == (16 * Self.mebibyte, 0, 16 * Self.mebibyte))
        for taken in [second, third] { reserve.give(taken.memory, bytes: taken.bytes) }
    }

    @Test func neighboursAreJoinedInAnyOrder() {
        for order in [[0, 1, 2], [2, 1, 0], [0, 2, 1], [1, 0, 2]] {
            let reserve = MemoryReserve()
            let whole = block(reserve, 16)
            reserve.give(whole.memory, bytes: whole.bytes)
            let parts = [4, 8, 4].map { block(reserve, $0) }
            for index in order { reserve.give(parts[index].memory, bytes: parts[index].bytes) }
            let again = block(reserve, 16)
            #expect(again.memory == whole.memory && reserve.figures.kept == 0, "\(order)")
            reserve.give(again.memory, bytes: again.bytes)
        }
    }

    @Test func ofTheBlocksThatServeTheSmallestIsTaken() {
        let reserve = MemoryReserve()
        // Blocks between them keep the others apart.
        let blocks = [64, 2, 60, 2, 62, 2].map { block(reserve, $0) }
        for index in [0, 2, 4] { reserve.give(blocks[index].memory, bytes: blocks[index].bytes) }
        #expect(block(reserve, 60).memory == blocks[2].memory)
        #expect(block(reserve, 60).memory == blocks[4].memory)
        #expect(block(reserve, 60).memory == blocks[0].memory)
    }

    @Test func blocksAreWholePagesAndLargeOnesStartAtLargePages() {
        let reserve = MemoryReserve()
        for bytes in [1 << 20, 3 << 20 | 1, 4 << 20, 5 << 20 | 77] {
            let taken = reserve.take(bytes)
            #expect(taken.bytes >= bytes && taken.bytes % 4096 == 0)
            #expect(UInt(bitPattern: taken.memory) % (bytes >= 4 << 20 ? 2 << 20 : 4096) == 0)
            taken.memory.storeBytes(of: 1, toByteOffset: taken.bytes - 1, as: UInt8.self)
            reserve.give(taken.memory, bytes: taken.bytes)
        }
    }

    /// Where a larger block is needed than there are, only as much goes to the system as is kept too much.
    @Test func theOldestMakeRoom() {
        let reserve = MemoryReserve()
        let blocks = [8, 2, 16].map { block(reserve, $0) }
        for index in [0, 2] { reserve.give(blocks[index].memory, bytes: blocks[index].bytes) }
        let large = block(reserve, 20)
        #expect(reserve.figures == (22 * Self.mebibyte, 4 * Self.mebibyte, 26 * Self.mebibyte))
        #expect(block(reserve, 4).memory == blocks[2].memory, "of the block that was given back last")
        reserve.give(large.memory, bytes: large.bytes)
    }

    /// Whatever is taken and given back, and in whatever order.
    @Test func whatIsKeptNeverRaisesThePeak() {
        let reserve = MemoryReserve()
        let random = CounterRandom(seed: 7)
        var used: [(memory: UnsafeMutableRawPointer, bytes: Int)] = []
        var mostUsed = 0
        for step in 0..<2000 {
            if used.count > 12 || (!used.isEmpty && random.uniform(3 * step) < 0.5) {
                let taken = used.remove(at: Int(random.uniform(3 * step + 1) * Double(used.count)))
                reserve.give(taken.memory, bytes: taken.bytes)
            } else {
                used.append(block(reserve, 1 + Int(random.uniform(3 * step + 2) * 8)))
            }
            let figures = reserve.figures
            mostUsed = max(mostUsed, used.reduce(0) { $0 + $1.bytes })
            #expect(figures.used == used.reduce(0) { $0 + $1.bytes })
            #expect(figures.mostUsed == mostUsed)
            #expect(figures.used + figures.kept <= mostUsed)
        }
        #expect(Set(used.map(\.memory)).count == used.count, "no block is given twice")
        for taken in used { reserve.give(taken.memory, bytes: taken.bytes) }
    }

    @Test func buffersOfAMebibyteComeFromTheReserve() {
        let before = MemoryReserve.shared.figures.mostUsed
        let large = AlignedBuffer<Float>(uninitializedCount: 1 << 26)
        #expect(MemoryReserve.shared.figures.used >= 4 << 26)
        #expect(MemoryReserve.shared.figures.mostUsed >= max(before, 4 << 26))
        large.base[(1 << 26) - 1] = 1
        #expect(UInt(bitPattern: large.base) % 64 == 0)
    }
}
