import Testing

@testable import Kernels

@Suite("Choice of the instruction set")
struct InstructionSetTests {
    @Test("the baseline is always there, and the widest is the default")
    func available() {
        #expect(InstructionSet.available.first == .baseline)
        #expect(InstructionSet.available.last == InstructionSet.detected)
    }

    @Test("an unknown name is refused, and names what there is")
    func unknown() {
        #expect(throws: InstructionSetError.unknown("sse9")) {
            try InstructionSet.select(environment: ["LOWRANK_ISA": "sse9"])
        }
        #expect(InstructionSetError.unknown("sse9").description.contains("baseline"))
    }

    @Test("one that the machine lacks is refused", .enabled(if: InstructionSet.detected != .avx512, "needs a machine without AVX-512"))
    func missing() {
        #expect(throws: InstructionSetError.missing(.avx512)) {
            try InstructionSet.select(environment: ["LOWRANK_ISA": "avx512"])
        }
    }
}
