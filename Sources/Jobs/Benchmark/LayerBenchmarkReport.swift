import CommandLineKit
import CompressionCore
import Kernels
import MatrixCore
import Safetensors

/// The times of one layer and of a dense one, for one number of tokens.
public struct LayerBenchmarkResult: Sendable {
    let module: String
    let schema: String
    /// m and n of the layer.
    let outFeatures: Int
    let inFeatures: Int
    let tokens: Int
    let type: ElementType
    /// Multiply-adds of the batch.
    let macs: Double
    let denseMacs: Double
    let seconds: Double
    let denseSeconds: Double

    init(
        _ module: String, _ layer: any LinearOperator, _ dense: DenseOperator, tokens: Int,
        _ seconds: (layer: Double, dense: Double)
    ) {
        self.module = module
        schema = layer.schema
        outFeatures = layer.outFeatures
        inFeatures = layer.inFeatures
        self.tokens = tokens
        type = dense.weight.type
        macs = layer.macs(tokens: tokens)
        denseMacs = dense.macs(tokens: tokens)
        self.seconds = seconds.layer
        denseSeconds = seconds.dense
    }

    /// Against the dense layer's.
    var relativeTime: Double { seconds / denseSeconds }
    /// Multiply-adds a second, against the dense layer's.
    var relativeRate: Double { macs / denseMacs / relativeTime }
    var operationsPerSecond: Double { 2 * macs / seconds }
}

/// What `bench` prints of layers.
public struct LayerBenchmarkReport: Sendable {
    public let peak: PeakMeasurement
    public let results: [LayerBenchmarkResult]

    public var text: String {
        var table = TextTable([
            .left("layer", shrinks: true), .left("schema"), .right("out"), .right("in"), .left("dtype"),
            .right("tokens"), .right("time"), .right("GF/s"), .right("time/dense"), .right("rate/dense"),
        ])
        for result in results {
            table.add([
                result.module, result.schema, "\(result.outFeatures)", "\(result.inFeatures)", result.type.shortName,
                "\(result.tokens)", Quantity.fixed(result.seconds * 1e3, 2) + " ms",
                Quantity.fixed(result.operationsPerSecond / 1e9, 1), Quantity.fixed(result.relativeTime, 2),
                Quantity.fixed(result.relativeRate, 2),
            ])
        }
        return "\(peak.line)\n\n\(table.text(width: 120))"
    }

    public var json: JSON {
        ["machine": peak.json, "results": .array(results.map(json))]
    }

    private func json(_ result: LayerBenchmarkResult) -> JSON {
        [
            "op": "layer", "module": JSON(result.module), "schema": JSON(result.schema), "m": JSON(result.outFeatures),
            "n": JSON(result.tokens), "k": JSON(result.inFeatures), "dtype": JSON(result.type.shortName),
            "threads": JSON(peak.threads), "seconds": JSON(result.seconds), "dense_seconds": JSON(result.denseSeconds),
            "macs": JSON(result.macs), "gflops": JSON(result.operationsPerSecond / 1e9),
            "percent_of_peak": JSON(result.operationsPerSecond / peak.float32OperationsPerSecond * 100),
            "relative_time": JSON(result.relativeTime), "relative_rate": JSON(result.relativeRate),
        ]
    }
}
