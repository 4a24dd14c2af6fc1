import CommandLineKit
import Jobs
import MatrixCore
import Planning

/// `lowrank compress CKPT -o OUT`: the main job.
struct CompressCommand: Command {
    static let checkpoint = Argument(.folder("CKPT"), help: "Hugging Face folder, or one safetensors file")
    static let output = RequiredOption("output", letter: "o", .folder("OUT"), help: "Folder to write")

    static let shardSize = Setting(
        "max-shard-size", .bytes("SIZE"), default: CompressionRequest.defaultShardBytes,
        help: "Largest weight file, such as 2GB or 512MiB")

    static let control = Option(
        "control", ValueFormat<ControlKind>.choice("KIND"),
        help: "Write what the method is to be held against: drop (zeros), svd or noise of as many numbers")

    static let dryRun = Flag("dry-run", help: "Show what would be done, read no weight, write nothing")
    static let resume = Flag("resume", help: "Continue an interrupted run of the same command")
    static let shard = Option(
        "shard", ValueFormat<Shard>("i/n", expectation: "a part such as 2/8", parse: { Shard($0) }),
        help: "Do part i of n only, to a folder for merge")

    enum Export: String, CaseIterable { case peft }

    static let export = Option(
        "export", ValueFormat<Export>.choice("FORM"),
        help: "peft: also write what was lost as an adapter, in OUT/peft, for the folder that reconstruct writes")
    static let exportRank = Option(
        "export-rank", .integer("R", from: 1), help: "At most R components of the loss a matrix; 16 by default")
    static let exportEnergy = Option(
        "export-energy", .number("F", from: .exclusive(0), to: .inclusive(1)),
        help: "The fewest components with this share of the squared loss, for every matrix")
    static let exportSection = OptionSection("Export", [export, exportRank, exportEnergy])

    static let specification = CommandSpecification(
        "compress", summary: "Write a compressed checkpoint and its report",
        discussion: """
            Every linear layer inside the transformer blocks is replaced by two factors of lower rank, unless that \
            would not make it smaller; embeddings, heads, norms and biases stay as they are. The target is never \
            exceeded. --keep counts the selected matrices, those left dense included; --target-params and \
            --target-size count the whole output.
            """,
        arguments: [checkpoint],
        sections: [
            OptionSection("Output", [output, CompressionOptions.factorType, shardSize]),
            OptionSection("How much", TargetOptions.all + [TargetOptions.plan]),
            OptionSection("What", SelectionOptions.all),
            OptionSection("How", MethodOptions.common + MethodOptions.special),
            ObjectiveOptions.section,
            CompressionOptions.allocationSection,
            OptionSection("Running", [control, dryRun, resume, shard, ReadingOptions.noMapping]),
            exportSection,
        ],
        exclusions: [
            TargetOptions.exclusion, MethodOptions.accuracy, TextOptions.exclusion,
            Exclusion("rank of the adapter", [exportRank, exportEnergy]),
        ],
        examples: [
            Example("lowrank compress model -o small --keep 0.6", "Keep 60 % of the block parameters"),
            Example("lowrank compress model -o small --target-size 4.5GB", "Fit the weights into 4.5 GB"),
            Example("lowrank compress model -o small --keep 0.8 --stats stats", "For the inputs of a calibration"),
            Example(
                "lowrank compress model -o small --keep 0.8 --text wiki.txt --samples 128",
                "Each layer for what the compressed ones before it give"),
            Example("lowrank compress model -o part3 --keep 0.8 --shard 3/8", "One of eight parts, for merge"),
            Example(
                "lowrank compress model -o small --max-error 0.1 --layers 4-27",
                "Ten per cent error at most, inner blocks"),
        ], redirections: ["ratio": "--keep F or --remove F"])

    let request: CompressionRequest
    private let isDryRun: Bool

    init(_ arguments: ParsedArguments) throws {
        var request = try CompressionOptions.request(
            arguments, checkpoint: arguments[Self.checkpoint], output: arguments[Self.output])
        request.maximumShardBytes = arguments[Self.shardSize]
        request.shard = arguments[Self.shard]
        request.resume = arguments[Self.resume]
        request.adapter = try Self.adapter(arguments)
        request.control = arguments[Self.control]
        try request.validate()
        self.request = request
        isDryRun = arguments[Self.dryRun]
    }

    /// How the adapter is made; nil where none is asked for.
    private static func adapter(_ arguments: ParsedArguments) throws -> AdapterRank? {
        let energy = arguments[exportEnergy], rank = arguments[exportRank]
        guard arguments[export] != nil else {
            if energy != nil || rank != nil { throw JobError.usage("the rank of an adapter needs --export peft") }
            return nil
        }
        return energy.map(AdapterRank.energy) ?? .rank(rank ?? ExtractCommand.usualRank)
    }

    func run(_ context: RunContext) throws -> ExitCode {
        var request = request
        request.force = context.force
        request.seed(with: context.seed)
        request.commandLine = context.commandLine
        let job = CompressJob(request)
        if isDryRun {
            let planned = try job.dryRun(progress: context.terminal)
            try context.terminal.publish(text: { try planned.text() }, json: { try planned.json().text(pretty: true) })
            return .done
        }
        if request.shard != nil {
            let part = try job.runPart(progress: context.terminal, interruption: context.interruption)
            context.terminal.publish(text: { part.text }, json: { part.json.text(pretty: true) })
            return .done
        }
        let report = try job.run(progress: context.terminal, interruption: context.interruption)
        context.terminal.publish(
            text: { report.summary(output: request.output) }, json: { report.json.text(pretty: true) })
        return .done
    }
}
