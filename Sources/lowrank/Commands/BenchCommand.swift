import CommandLineKit
import Jobs
import MatrixCore

/// `lowrank bench`
struct BenchCommand: Command {
    static let operation = Option("op", ValueFormat<BenchmarkOperation>.choice("OP"), help: "What to time")
    static let shapes = OptionList(
        "shape", shape, style: .repeated,
        help: "gemm MxNxK, syrk MxK, gemv MxK, svd MxNxRANK, eigen NxVECTORS; one side alone is a square")
    static let dtype = Setting(
        "dtype", ValueFormat<Storage>.choice("DTYPE"), default: .f32, help: "How the operands are stored")
    static let repetitions = Setting(
        "repeat", .integer("N", from: 1), default: 5, help: "Timed runs of each, of which the fastest counts")

    static let specification = CommandSpecification(
        "bench", summary: "Time the kernels against the measured peak of this machine",
        discussion: "Shares are of the fused multiply-adds or, for gemv, of the read bandwidth that is measured first. "
            + "Without --op each kind of work is timed once.",
        sections: [OptionSection("Options", [operation, shapes, dtype, repetitions])],
        examples: [
            Example("lowrank bench", "Each kind of work once"),
            Example("lowrank bench --op gemm --shape 4096x4096x4096 --threads 1", "One product on one thread"),
        ])

    private let job: BenchmarkJob

    init(_ arguments: ParsedArguments) throws {
        let repetitions = arguments[Self.repetitions]
        let shapes = arguments[Self.shapes]
        guard let operation = arguments[Self.operation] else {
            guard shapes.isEmpty else { throw JobError.usage("--shape needs --op") }
            job = BenchmarkJob(cases: BenchmarkJob.defaultCases, repetitions: repetitions)
            return
        }
        let type = arguments[Self.dtype].elementType
        let cases = try (shapes.isEmpty ? [[1024]] : shapes).map { sides in
            guard let item = BenchmarkCase(operation, sides: sides, type: type) else {
                let text = sides.map(String.init).joined(separator: "x")
                throw JobError.usage("--shape \(text) does not fit --op \(operation.rawValue)")
            }
            return item
        }
        job = BenchmarkJob(cases: cases, repetitions: repetitions)
    }

    func run(_ context: RunContext) throws -> ExitCode {
        let report = try job.run(seed: context.seed, progress: context.terminal, interruption: context.interruption)
        context.terminal.publish(text: { report.text }, json: { report.json.text(pretty: true) })
        return .done
    }

    private static let shape = ValueFormat<[Int]>(
        "SHAPE", expectation: "sides joined by x, such as 4096x4096x64",
        parse: { text in
            let parts = text.split(separator: "x", omittingEmptySubsequences: false)
            let sides = parts.compactMap { Int($0) }
            return sides.count == parts.count && sides.allSatisfy { (1...1_000_000).contains($0) } ? sides : nil
        }, describe: { $0.map(String.init).joined(separator: "x") })

    /// Storage formats by the names that options use.
    enum Storage: String, CaseIterable, Sendable {
        case f64, f32, bf16, f16

        var elementType: ElementType {
            switch self {
            case .f64: .float64
            case .f32: .float32
            case .bf16: .bfloat16
            case .f16: .float16
            }
        }
    }
}
