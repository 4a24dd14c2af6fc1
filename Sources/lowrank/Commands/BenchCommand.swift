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

    static let checkpoint = Option(
        "checkpoint", .folder("CKPT"),
        help: "Time the compressed layers of a checkpoint, each against a dense layer of its shape")
    static let batches = Option(
        "batch", ValueFormat<[Int]>.commaSeparated(.integer("N", from: 1, to: 1 << 16)),
        help: "Tokens that layers of --checkpoint multiply together; 1,256 by default")

    static let specification = CommandSpecification(
        "bench", summary: "Time the kernels against the measured peak of this machine",
        discussion: "Shares are of the fused multiply-adds or, for gemv, of the read bandwidth that is measured first. "
            + "Without --op each kind of work is timed once.",
        sections: [OptionSection("Options", [operation, shapes, dtype, checkpoint, batches, repetitions])],
        exclusions: [Exclusion("work", [operation, checkpoint])],
        examples: [
            Example("lowrank bench", "Each kind of work once"),
            Example("lowrank bench --op gemm --shape 4096x4096x4096 --threads 1", "One product on one thread"),
            Example("lowrank bench --checkpoint small --batch 1,32,256", "Compressed layers against dense ones"),
        ])

    private enum Work {
        case kernels(BenchmarkJob)
        case layers(LayerBenchmarkJob)
    }

    private let work: Work

    init(_ arguments: ParsedArguments) throws {
        let repetitions = arguments[Self.repetitions]
        let batches = arguments[Self.batches]
        if let checkpoint = arguments[Self.checkpoint] {
            guard arguments[Self.shapes].isEmpty else { throw JobError.usage("--shape needs --op") }
            work = .layers(
                LayerBenchmarkJob(checkpoint: checkpoint, batches: batches ?? [1, 256], repetitions: repetitions))
            return
        }
        guard batches == nil else { throw JobError.usage("--batch needs --checkpoint") }
        let shapes = arguments[Self.shapes]
        guard let operation = arguments[Self.operation] else {
            guard shapes.isEmpty else { throw JobError.usage("--shape needs --op") }
            work = .kernels(BenchmarkJob(cases: BenchmarkJob.defaultCases, repetitions: repetitions))
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
        work = .kernels(BenchmarkJob(cases: cases, repetitions: repetitions))
    }

    func run(_ context: RunContext) throws -> ExitCode {
        let terminal = context.terminal
        switch work {
        case .kernels(let job):
            let report = try job.run(seed: context.seed, progress: terminal, interruption: context.interruption)
            terminal.publish(text: { report.text }, json: { report.json.text(pretty: true) })
        case .layers(let job):
            let report = try job.run(seed: context.seed, progress: terminal, interruption: context.interruption)
            terminal.publish(text: { report.text }, json: { report.json.text(pretty: true) })
        }
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
