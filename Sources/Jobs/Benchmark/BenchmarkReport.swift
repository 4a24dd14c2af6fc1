import CommandLineKit
import Kernels
import MatrixCore
import Safetensors

/// The time of one case.
public struct BenchmarkResult: Sendable {
    public let item: BenchmarkCase
    /// Of the fastest run.
    public let seconds: Double
    /// Of the latest run of a decomposition, in order.
    public let stages: [(name: String, seconds: Double)]

    var operationsPerSecond: Double { item.operations / seconds }

    /// The share of what the machine can do at best: of the read bandwidth where memory is the bound, otherwise of the
    /// arithmetic.
    func shareOfPeak(_ peak: PeakMeasurement) -> Double {
        if item.isBoundByMemory { return item.matrixBytes / seconds / peak.readBytesPerSecond }
        let best = item.arithmetic == .float64 ? peak.float64OperationsPerSecond : peak.float32OperationsPerSecond
        return operationsPerSecond / best
    }
}

/// What `bench` prints.
public struct BenchmarkReport: Sendable {
    public let peak: PeakMeasurement
    public let results: [BenchmarkResult]

    public var text: String {
        var table = TextTable([
            .left("op"), .right("m"), .right("n"), .right("k"), .left("dtype"), .right("time"), .right("GF/s"),
            .right("of peak"),
        ])
        for result in results {
            let item = result.item
            table.add([
                item.operation.rawValue, "\(item.m)", "\(item.n)", "\(item.k)", item.type.shortName,
                milliseconds(result.seconds), giga(result.operationsPerSecond),
                Quantity.percent(result.shareOfPeak(peak)),
            ])
            for stage in result.stages {
                table.add(["  \(stage.name)", "", "", "", "", milliseconds(stage.seconds), "", ""])
            }
        }
        return "\(peak.line)\n\n\(table.text())"
    }

    public var json: JSON {
        ["machine": peak.json, "results": .array(results.map(json))]
    }

    private func json(_ result: BenchmarkResult) -> JSON {
        let item = result.item
        return [
            "op": JSON(item.operation.rawValue), "m": JSON(item.m), "n": JSON(item.n), "k": JSON(item.k),
            "dtype": JSON(item.type.shortName), "threads": JSON(peak.threads), "seconds": JSON(result.seconds),
            "gflops": JSON(result.operationsPerSecond / 1e9), "percent_of_peak": JSON(result.shareOfPeak(peak) * 100),
            "bound": item.isBoundByMemory ? "memory" : "arithmetic",
            "stages": .array(result.stages.map { ["name": JSON($0.name), "seconds": JSON($0.seconds)] }),
        ]
    }

    private func giga(_ value: Double) -> String { Quantity.fixed(value / 1e9, 1) }

    private func milliseconds(_ seconds: Double) -> String { Quantity.fixed(seconds * 1e3, 2) + " ms" }
}

extension PeakMeasurement {
    /// The machine and what it can do at best.
    var line: String {
        func giga(_ value: Double) -> String { Quantity.fixed(value / 1e9, 1) }
        return "\(InstructionSet.active.rawValue), \(threads) of \(Threads.activeProcessors) processors: "
            + "f32 \(giga(float32OperationsPerSecond)) GF/s, f64 \(giga(float64OperationsPerSecond)) GF/s, "
            + "reads \(giga(readBytesPerSecond)) GB/s"
    }

    var json: JSON {
        [
            "isa": JSON(InstructionSet.active.rawValue), "processors": JSON(Threads.activeProcessors),
            "threads": JSON(threads), "f32_gflops": JSON(float32OperationsPerSecond / 1e9),
            "f64_gflops": JSON(float64OperationsPerSecond / 1e9),
            "read_gigabytes_per_second": JSON(readBytesPerSecond / 1e9),
        ]
    }
}

extension ElementType {
    /// As options and reports write it.
    var shortName: String {
        switch self {
        case .float64: "f64"
        case .float32: "f32"
        case .float16: "f16"
        case .bfloat16: "bf16"
        }
    }
}
