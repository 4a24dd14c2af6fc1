import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore
import Safetensors
import Synchronization

/// A statistics file opened for reading: what the inputs of every layer of a model look like over some text.
///
/// ```swift
/// let statistics = try ActivationStatistics(path: "stats.safetensors")
/// try statistics.require(model: checkpoint.fingerprint())
/// let gram = try statistics.gram(for: "model.layers.0.self_attn.q_proj")
/// ```
///
/// Layers that share an input get the same metric, whose factor is computed once. Memory is that of the metrics in use
/// and of the last one asked for.
public final class ActivationStatistics: Sendable {
    public let path: String
    public let header: StatisticsHeader
    let file: SafetensorsFile
    /// Places in `header.inputs`, by module.
    private let places: [String: Int]
    /// Places in `header.gradients`, by name.
    private let gradientPlaces: [String: Int]
    private let metrics = Mutex(MetricCache())

    /// - Throws: `StatisticsError` where the file is no statistics, or a tensor of it is missing or of another form.
    public init(path: String) throws(StatisticsError) {
        do {
            file = try SafetensorsFile(path: path)
        } catch {
            throw .safetensors(error)
        }
        self.path = path
        header = try StatisticsHeader(file)
        var places: [String: Int] = [:]
        for (place, input) in header.inputs.enumerated() {
            for module in input.modules {
                guard places.updateValue(place, forKey: module) == nil else {
                    throw .notStatistics(file: path, reason: "\(module) reads two of its inputs")
                }
            }
        }
        self.places = places
        gradientPlaces = Dictionary(
            header.gradients.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
        for input in header.sums { try check(input) }
    }

    /// Size of the file.
    public var byteCount: Int { file.byteCount }

    /// - Throws: `StatisticsError.otherModel` if the statistics are not of the model with this fingerprint.
    public func require(model fingerprint: String) throws(StatisticsError) {
        guard header.modelFingerprint == fingerprint else {
            throw .otherModel(file: path, expected: fingerprint, found: header.modelFingerprint)
        }
    }

    /// The input that a module reads; nil where it was not looked at.
    public func input(of module: String) -> LayerInput? {
        places[module].map { header.inputs[$0] }
    }

    // MARK: Per module

    /// Tokens that the module read; experts see only those routed to them.
    public func tokens(for module: String) throws(StatisticsError) -> Int? {
        guard let input = input(of: module) else { return nil }
        return try tokens(of: input)
    }

    /// Mean |x| of each input feature of the module; zeros where it saw no token.
    public func meanAbsolute(for module: String) throws(StatisticsError) -> [Double]? {
        guard let input = input(of: module) else { return nil }
        let tokens = Double(max(try tokens(of: input), 1))
        return try numbers(.absoluteSum, of: input).map { $0 / tokens }
    }

    /// The metric Σ x xᵀ of the module's inputs; nil where it was not looked at. One of few tokens is drawn towards the
    /// identity, see `Shrinkage`.
    ///
    /// - Throws: `StatisticsError.badTensor` where the sums are not finite or no moments.
    public func gram(for module: String) throws(StatisticsError) -> GramMetric? {
        guard let input = input(of: module) else { return nil }
        if let known = metrics.withLock({ $0.metric(of: input.name) }) { return known }
        let metric: GramMetric
        do {
            metric = try moments(of: input).metric()
        } catch let error as StatisticsError {
            throw error
        } catch {
            throw .badTensor(
                file: path, tensor: StatisticsHeader.Part.moment.name(of: input), reason: "no second moment: \(error)")
        }
        metrics.withLock { $0.remember(metric, of: input.name) }
        return metric
    }

    /// The metric Σ g gᵀ of the gradients g towards the module's outputs; nil where they were not looked at, or none
    /// came.
    ///
    /// Directions that the loss does not feel have almost no weight: a little is added to the diagonal, so that a layer
    /// keeps what costs nothing to keep.
    /// - Throws: `StatisticsError.badTensor` where the sums are not finite or no moments.
    public func gradientGram(for module: String) throws(StatisticsError) -> GramMetric? {
        guard let gradients = gradients(of: module), try tokens(of: gradients) > 0 else { return nil }
        if let known = metrics.withLock({ $0.metric(of: gradients.name) }) { return known }
        let sums = try moments(of: gradients)
        guard sums.absoluteSums.contains(where: { $0 > 0 }) else { return nil }
        let metric: GramMetric
        do {
            metric = try sums.metric(leastRidge: Self.gradientRidge)
        } catch {
            throw .badTensor(
                file: path, tensor: StatisticsHeader.Part.moment.name(of: gradients),
                reason: "no second moment: \(error)")
        }
        metrics.withLock { $0.remember(metric, of: gradients.name) }
        return metric
    }

    /// What is added to Σ g gᵀ, in units of the mean of its diagonal. From 1e-4 to 1e-2 makes no difference to the
    /// predictions of a compressed model.
    private static let gradientRidge = 1e-3

    /// What the file has of the gradients towards a module's outputs; nil where it has nothing.
    public func gradients(of module: String) -> LayerInput? {
        gradientPlaces[module + LayerInput.gradientSuffix].map { header.gradients[$0] }
    }

    // MARK: Per input

    /// Everything that the file has of an input.
    public func moments(of input: LayerInput) throws(StatisticsError) -> InputMoments {
        let name = StatisticsHeader.Part.moment.name(of: input)
        let packed: MatrixOperand
        do {
            packed = try file.operand(of: name)
        } catch {
            throw .safetensors(error)
        }
        if let place = firstNonFinite(packed) {
            throw .badTensor(file: path, tensor: name, reason: "element \(place.column) is not finite")
        }
        var lower = Matrix64(rows: input.features, columns: input.features)
        let view = lower.mutableView()
        for i in 0..<input.features {
            let start = i * (i + 1) / 2
            convert(
                packed.columns(start..<start + i + 1),
                into: MutableMatrixOperand(view.block(rows: i..<i + 1, columns: 0..<i + 1)))
        }
        file.dropPages(of: name)
        if let row = Self.rowBeyondItsDiagonal(lower.view) {
            throw .badTensor(
                file: path, tensor: name, reason: "no second moment: row \(row) is larger than its diagonal allows")
        }
        return InputMoments(
            lower: lower, absoluteSums: try numbers(.absoluteSum, of: input),
            fourthPowerSum: try numbers(.fourthPowerSum, of: input)[0], tokens: try tokens(of: input))
    }

    /// The first row with an element beyond |m_ij| ≤ (m_ii m_jj)^½, which every Σ x xᵀ keeps but for rounding.
    private static func rowBeyondItsDiagonal(_ lower: MatrixView<Double>) -> Int? {
        let roots = (0..<lower.rows).map { max(lower[$0, $0], 0).squareRoot() }
        let largest = roots.max() ?? 0
        return (0..<lower.rows).first { i in
            lower[i, i] < 0
                || (0..<i).contains { abs(lower[i, $0]) > (1 + 1e-6) * roots[i] * roots[$0] + 1e-9 * largest * largest }
        }
    }

    public func tokens(of input: LayerInput) throws(StatisticsError) -> Int {
        let name = StatisticsHeader.Part.tokens.name(of: input)
        guard let count = try bytes(name).array(of: Int64.self).first, count >= 0 else {
            throw .badTensor(file: path, tensor: name, reason: "a count below 0")
        }
        return Int(count)
    }

    private func numbers(_ part: StatisticsHeader.Part, of input: LayerInput) throws(StatisticsError) -> [Double] {
        let name = part.name(of: input)
        let numbers = try bytes(name).array(of: Double.self)
        if let place = numbers.firstIndex(where: { !$0.isFinite || $0 < 0 }) {
            throw .badTensor(
                file: path, tensor: name, reason: "element \(place) is \(numbers[place]); a sum of sizes is expected")
        }
        return numbers
    }

    private func bytes(_ name: String) throws(StatisticsError) -> TensorBytes {
        do {
            return try file.bytes(of: name)
        } catch {
            throw .safetensors(error)
        }
    }

    /// Names, types and shapes; numbers are looked at when they are read.
    private func check(_ input: LayerInput) throws(StatisticsError) {
        for expected in header.declarations(of: input) {
            guard let found = file.tensor(named: expected.name) else {
                throw .badTensor(file: path, tensor: expected.name, reason: "missing")
            }
            guard found.dtype == expected.dtype, found.shape == expected.shape else {
                throw .badTensor(
                    file: path, tensor: expected.name,
                    reason: "\(found.dtype.rawValue) \(found.shape); expected \(expected.dtype.rawValue) "
                        + "\(expected.shape)")
            }
        }
    }
}

/// Metrics that someone holds, and the last one.
private struct MetricCache {
    private struct Entry {
        weak var metric: GramMetric?
    }

    private var entries: [String: Entry] = [:]
    private var last: GramMetric?

    func metric(of input: String) -> GramMetric? { entries[input]?.metric }

    mutating func remember(_ metric: GramMetric, of input: String) {
        entries[input] = Entry(metric: metric)
        last = metric
    }
}
