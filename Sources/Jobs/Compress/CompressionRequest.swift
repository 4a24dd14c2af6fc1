import Checkpoints
import CompressionCore
import LinearAlgebra
import MatrixCore
import Planning
import Safetensors
import SVDCompression

/// Everything a compression is asked to do, before the checkpoint is opened.
public struct CompressionRequest: Sendable {
    public enum Accuracy: String, Sendable {
        /// Exact, by the quickest route whose accuracy is proven for the matrix.
        case automatic
        /// Exact at any condition, slower.
        case exact
        /// Randomised; the excess error is estimated and reported.
        case fast
    }

    public var checkpoint: String
    public var output: String
    public var target: Target
    public var selection: ModuleSelection
    public var accuracy: Accuracy
    /// What factors are rounded to; nil keeps the type of each weight.
    public var factorType: ElementType?
    public var rankMultiple: Int
    public var maximumShardBytes: Int
    public var usesMapping: Bool
    public var seed: UInt64
    public var force: Bool
    public var resume: Bool
    /// The words of the command line, for the report.
    public var commandLine: [String]

    public init(
        checkpoint: String, output: String, target: Target, selection: ModuleSelection = ModuleSelection(),
        accuracy: Accuracy = .automatic
    ) {
        self.checkpoint = checkpoint
        self.output = output
        self.target = target
        self.selection = selection
        self.accuracy = accuracy
        factorType = nil
        rankMultiple = 1
        maximumShardBytes = Self.defaultShardBytes
        usesMapping = true
        seed = 0
        force = false
        resume = false
        commandLine = []
    }

    /// As transformers has it.
    public static let defaultShardBytes = 5_000_000_000

    var compressor: any Compressor {
        let route: TruncatedSVD.Route =
            switch accuracy {
            case .automatic: .automatic
            case .exact: .direct
            case .fast: .randomized(seed: seed)
            }
        return SVDCompressor(route: route, rankMultiple: rankMultiple)
    }

    var method: String { type(of: compressor).method }

    /// What decides the bytes of the output, by name, for the journal and the report.
    var options: [(name: String, value: String)] {
        [
            ("method", method), ("target", "\(target)"), ("storage", "factors"), ("objective", "weights"),
            ("allocation", "uniform"), ("accuracy", accuracy.rawValue),
            ("factor-dtype", factorType.map { TensorDType($0).rawValue } ?? "keep"),
            ("rank-multiple", "\(rankMultiple)"), ("include", selection.include.joined(separator: " ")),
            ("exclude", selection.exclude.joined(separator: " ")),
            ("layers", selection.layers.map { "\($0)" } ?? "all"), ("max-shard-size", "\(maximumShardBytes)"),
            ("seed", "\(seed)"),
        ]
    }
}
