import Checkpoints
import Planning

extension PlannedCompression {
    /// What the output would hold, from what became of the selected matrices.
    func stored(_ results: [ModuleResult]) throws -> CompressionReport.Stored {
        let selected = Set(results.map(\.name))
        var parameters = checkpoint.parameterCount - checkpoint.factorPositionCount, bytes = checkpoint.byteCount
        if case .identical(let head, _) = try checkpoint.tiedHead(), let tensor = checkpoint.tensor(named: head) {
            parameters -= tensor.elementCount
            bytes -= tensor.byteCount
        }
        for module in checkpoint.compressibleModules where selected.contains(module.name) {
            parameters -= module.storedParameters
            bytes -= module.storedBytes
        }
        for result in results {
            parameters += result.parameters
            bytes += result.report["bytes"]?.int ?? 0
        }
        return CompressionReport.Stored(parameters: parameters, bytes: bytes)
    }
}
