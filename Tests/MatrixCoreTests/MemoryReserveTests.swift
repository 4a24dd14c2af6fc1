import Testing

@testable import MatrixCore

@Suite struct MemoryReserveTests {
    private static let mebibyte = 1 << 20

    private func block(_ reserve: MemoryReserve, _ mebibytes: Int) -> (memory: UnsafeMutableRawPointer, bytes: Int) {
        reserve.take(mebibytes * Self.mebibyte, alignment: 64)
    }

    @Test func aBlockServesTheNextRequestOfAboutItsSize() {
        let reserve = MemoryReserve()
        let first = block(reserve, 16)
        reserve.give(first.memory, bytes: first.bytes)
        let second = block(reserve, 15)
        #expect(second.memory == first.memory)
        #expect(second.bytes == first.bytes, "the whole block is in use, not only what was asked for")
        #expect(reserve.figures.kept == 0)
        reserve.give(second.memory, bytes: second.bytes)
    }

    @Test func aBlockThatWouldStayEmptyForMoreThanAnEighthIsNotTaken() {
        let reserve = MemoryReserve()
        let (large, other) = (block(reserve, 16), block(reserve, 16))
        reserve.give(large.memory, bytes: large.bytes)
        let small = block(reserve, 13)
        #expect(small.bytes == 13 * Self.mebibyte)
        for taken in [small, other] { reserve.give(taken.memory, bytes: taken.bytes) }
    }

    @Test func ofTheBlocksThatServeTheSmallestIsTaken() {
        let reserve = MemoryReserve()
        let blocks = [64, 60, 62].map { block(reserve, $0) }
        for taken in blocks { reserve.give(taken.memory, bytes: taken.bytes) }
        #expect(block(reserve, 59).memory == blocks[1].memory)
        #expect(block(reserve, 59).memory == blocks[2].memory)
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
