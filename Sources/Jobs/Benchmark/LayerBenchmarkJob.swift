import Checkpoints
import CommandLineKit
import CompressionCore
import Kernels
import MatrixCore

/// Times the compressed layers of a checkpoint, each in turn with a dense layer of its shape and type.
///
/// Taking turns puts each layer's numbers out of the caches again, as running a model does. Layers of one shape and
/// form are timed once.
public struct LayerBenchmarkJob: Sendable {
    public var checkpoint: String
    /// Tokens that are multiplied together, one number for each row of the result.
    public var batches: [Int]
    /// Timed runs of each, after one that is not timed; the fastest counts.
    public var repetitions: Int

    public init(checkpoint: String, batches: [Int], repetitions: Int) {
        self.checkpoint = checkpoint
        self.batches = batches
        self.repetitions = repetitions
    }

    public func run(
        seed: UInt64, progress: any ProgressReporter, interruption: Interruption
    ) throws -> LayerBenchmarkReport {
        let source = try Checkpoint(path: checkpoint)
        let modules = source.compressedModules
        guard !modules.isEmpty else {
            throw JobError.badInput(
                "there is no compressed layer in it; expected the output of compress", file: checkpoint)
        }
        progress.begin(ProgressStage("bench", total: modules.count + 1, unit: .items("layers")))
        defer { progress.end() }
        let peak = PeakMeasurement.measure()
        progress.advance(by: 1, "peak")
        var seen: Set<String> = []
        var results: [LayerBenchmarkResult] = []
        for module in modules {
            let layer = try source.compressedOperator(of: module)
            if seen.insert(Self.form(of: layer)).inserted {
                let pair = LayerPair(try Self.inMemory(layer, module.name), seed: seed)
                for batch in batches {
                    try interruption.check()
                    let seconds = pair.fastest(of: repetitions, tokens: batch, seed: seed)
                    results.append(LayerBenchmarkResult(module.name, layer, pair.dense, tokens: batch, seconds))
                }
            }
            progress.advance(by: 1, module.name)
        }
        return LayerBenchmarkReport(peak: peak, results: results)
    }

    /// The layer with its numbers in memory of the kind that the dense layer has, and no longer in a mapped file, whose
    /// smaller pages are slower to read.
    private static func inMemory(_ layer: any LinearOperator, _ module: String) throws -> any LinearOperator {
        var copies: [String: StoredTensor] = [:]
        for number in layer.numbers {
            let tensor = number.tensor
            copies[number.fullName(in: module)] = tensor.operand().map {
                StoredTensor($0, as: $0.type, shape: tensor.shape)
            }
        }
        do {
            return try layer.replacing(module: module, copies)
        } catch {
            throw JobError.badInput("\(error)", tensor: error.subject)
        }
    }

    /// Equal for layers that do the same work: schema, size and entry, but for the names of what is shared.
    private static func form(of layer: any LinearOperator) -> String {
        let names = ["group", "slice", "basis"]
        let entry = layer.entry.entries.filter { !names.contains($0.key) }
            .map { "\($0.key) \($0.value.text(pretty: false))" }
        return "\(layer.schema) \(layer.outFeatures) \(layer.inFeatures) \(layer.bytes) \(entry)"
    }
}

/// A compressed layer and a dense one of the same shape and type.
private struct LayerPair {
    let layer: any LinearOperator
    let dense: DenseOperator

    init(_ layer: any LinearOperator, seed: UInt64) {
        self.layer = layer
        let stored = layer.numbers.first?.tensor.dtype.elementType ?? .float32
        // Products in Float do not take Double.
        let type = stored == .float64 ? ElementType.float32 : stored
        let random = CounterRandom(seed: seed, stream: 0)
        let columns = layer.inFeatures
        let weight = Matrix(rows: layer.outFeatures, columns: columns) {
            Float(random.uniform($0 * columns + $1) - 0.5)
        }
        let tensor = StoredTensor(MatrixOperand(weight), as: type)
        dense = DenseOperator(weight: tensor.operand() ?? MatrixOperand(weight))
    }

    func fastest(of repetitions: Int, tokens: Int, seed: UInt64) -> (layer: Double, dense: Double) {
        let random = CounterRandom(seed: seed, stream: 1)
        let x = Matrix(rows: tokens, columns: layer.inFeatures) {
            Float(random.uniform($0 * layer.inFeatures + $1) - 0.5)
        }
        var y = Matrix(rows: tokens, columns: layer.outFeatures)
        let target = y.mutableView()
        var best = (layer: Double.infinity, dense: Double.infinity)
        for run in 0...repetitions {
            let ofDense = Self.seconds { dense.apply(x.view, into: target) }
            let ofLayer = Self.seconds { layer.apply(x.view, into: target) }
            if run > 0 { best = (min(best.layer, ofLayer), min(best.dense, ofDense)) }
        }
        return best
    }

    private static func seconds(_ work: () -> Void) -> Double {
        let watch = Stopwatch()
        work()
        return watch.seconds
    }
}
