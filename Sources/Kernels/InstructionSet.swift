import Foundation
import KernelContract
import KernelsBaseline
import Synchronization

#if arch(x86_64)
import KernelsAVX2
import KernelsAVX512
#endif

/// The instruction sets that the kernels are compiled for; the widest one that the processor has is used.
///
/// `LOWRANK_ISA` in the environment asks for another. Results are the same bytes for the same instruction set, and
/// agree to rounding between them.
public enum InstructionSet: String, Sendable, CaseIterable {
    /// SSE2 on x86-64, NEON with fused multiply-add on arm64.
    case baseline
    /// AVX2, FMA and F16C.
    case avx2
    /// AVX-512 F, BW, DQ and VL.
    case avx512

    /// The environment variable that overrides the choice.
    public static let variable = "LOWRANK_ISA"

    /// The widest that this machine has.
    public static let detected = available.last ?? .baseline

    /// All that this machine has, narrowest first.
    public static let available: [InstructionSet] = {
        let flags = ProcessorFlags.read()
        return allCases.filter { $0.requiredFlags.isSubset(of: flags) }
    }()

    /// The one in use.
    public static var active: InstructionSet {
        InstructionSet(index: choice.load(ordering: .relaxed))
    }

    /// Uses what the environment asks for, otherwise the widest.
    /// - Throws: `InstructionSetError` if it asks for one that is unknown or that the machine lacks.
    public static func select(environment: [String: String] = ProcessInfo.processInfo.environment) throws(InstructionSetError) {
        choice.store(try wanted(by: environment).index, ordering: .relaxed)
    }

    /// The kernels compiled for this instruction set. Calling them on a machine that lacks it is an illegal instruction.
    public var kernels: KernelSet {
        switch self {
        case .baseline: KernelsBaseline.kernelSet()
        #if arch(x86_64)
        case .avx2: KernelsAVX2.kernelSet()
        case .avx512: KernelsAVX512.kernelSet()
        #else
        case .avx2, .avx512: KernelsBaseline.kernelSet()
        #endif
        }
    }

    /// A wrong wish in the environment is the program's to report, through `select`; the library then goes on unasked.
    private static let choice = Atomic<Int>(((try? wanted(by: ProcessInfo.processInfo.environment)) ?? detected).index)

    private static func wanted(by environment: [String: String]) throws(InstructionSetError) -> InstructionSet {
        guard let name = environment[variable], !name.isEmpty else { return detected }
        guard let wanted = InstructionSet(rawValue: name) else { throw .unknown(name) }
        guard available.contains(wanted) else { throw .missing(wanted) }
        return wanted
    }

    private var index: Int {
        switch self {
        case .baseline: 0
        case .avx2: 1
        case .avx512: 2
        }
    }

    private init(index: Int) {
        self = index == 2 ? .avx512 : index == 1 ? .avx2 : .baseline
    }

    /// Names as in /proc/cpuinfo.
    private var requiredFlags: Set<String> {
        switch self {
        case .baseline: []
        case .avx2: ["avx2", "fma", "f16c"]
        case .avx512: ["avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl"]
        }
    }
}

/// Why `LOWRANK_ISA` cannot be followed.
public enum InstructionSetError: Error, Equatable, CustomStringConvertible {
    case unknown(String)
    case missing(InstructionSet)

    public var description: String {
        let available = InstructionSet.available.map(\.rawValue).joined(separator: ", ")
        return switch self {
        case .unknown(let name):
            "\(InstructionSet.variable)=\(name) names no instruction set; this machine has \(available)"
        case .missing(let set):
            "\(InstructionSet.variable)=\(set.rawValue): this machine lacks it; it has \(available)"
        }
    }
}
