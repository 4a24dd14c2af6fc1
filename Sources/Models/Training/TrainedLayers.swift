import CompressionCore
import MatrixCore

/// The numbers of compressed layers while they are trained: in Float, each tensor once, however many layers have it.
///
/// ```swift
/// var layers = try TrainedLayers(["model.layers.0.mlp.up_proj": factors, …])
/// layers.load(layers.modules, into: weights)                  // W' of every layer
/// …                                                           // forward and back: sums of ∂L/∂W'
/// layers.addGradients(of: layers.modules, weights, to: &gradients)
/// try layers.step(&optimizer, gradients, rate: 1e-3)
/// let operators = try layers.rounded()                        // in the types they are stored in
/// ```
public struct TrainedLayers {
    /// By module, with the numbers in Float as far as they are trained.
    private var operators: [String: any TrainableOperator]
    /// By module, as given.
    private let stored: [String: any TrainableOperator]
    /// By full name.
    public private(set) var tensors: [String: Matrix] = [:]
    /// In a fixed order.
    public let modules: [String]

    /// - Parameters:
    ///   - layers: by module name.
    ///   - frozen: full names of tensors that stay as they are.
    public init(_ layers: [String: any TrainableOperator], frozen: Set<String> = []) throws(OperatorError) {
        stored = layers
        operators = layers
        modules = layers.keys.sorted()
        for module in modules {
            for tensor in layers[module]?.numbers ?? [] {
                let name = tensor.fullName(in: module)
                if !frozen.contains(name), tensors[name] == nil { tensors[name] = tensor.tensor.floats }
            }
        }
        try rebuild()
    }

    /// Numbers that are trained.
    public var parameters: Int { tensors.values.reduce(0) { $0 + $1.count } }

    /// A layer with the numbers it has now.
    public func layer(_ module: String) -> (any TrainableOperator)? { operators[module] }

    /// Takes other numbers, such as the best of a training.
    public mutating func set(_ tensors: [String: Matrix]) throws(OperatorError) {
        self.tensors = tensors
        try rebuild()
    }

    /// Takes other numbers for some of the tensors.
    public mutating func merge(_ tensors: [String: Matrix]) throws(OperatorError) {
        self.tensors.merge(tensors) { $1 }
        try rebuild()
    }

    /// Gives W' of some layers to the weights.
    public func load(_ modules: [String], into weights: TrainingWeights) {
        for module in modules {
            if let layer = operators[module] { weights.set(module, to: layer) }
        }
    }

    /// Adds ∂L/∂tensor of some layers, from the sums of ∂L/∂W' in the weights, to gradients by full name.
    public func addGradients(of modules: [String], _ weights: TrainingWeights, to gradients: inout [String: Matrix]) {
        for module in modules {
            guard let layer = operators[module], let sum = weights.gradient(of: module) else { continue }
            for (tensor, gradient) in zip(layer.numbers, layer.tensorGradients(ofWeight: sum)) {
                let name = tensor.fullName(in: module)
                guard tensors[name] != nil else { continue }
                gradients[name] = gradients[name].map { Self.sum($0, gradient) } ?? gradient
            }
        }
    }

    /// Moves every tensor against its gradient.
    public mutating func step(
        _ optimizer: inout AdamOptimizer, _ gradients: [String: Matrix], rate: Float
    ) throws(OperatorError) {
        optimizer.step(&tensors, gradients: gradients, rate: rate)
        try rebuild()
    }

    /// The operators with their numbers in the types that they are stored in.
    public func rounded() throws(OperatorError) -> [String: any TrainableOperator] {
        var result: [String: any TrainableOperator] = [:]
        var written: [String: StoredTensor] = [:]
        for module in modules {
            guard let layer = stored[module] else { continue }
            for tensor in layer.numbers {
                let name = tensor.fullName(in: module)
                guard written[name] == nil, let values = tensors[name], let type = tensor.tensor.dtype.elementType
                else { continue }
                written[name] = StoredTensor(MatrixOperand(values), as: type, shape: tensor.tensor.shape)
            }
            result[module] = try layer.replacing(module: module, written)
        }
        return result
    }

    private mutating func rebuild() throws(OperatorError) {
        for module in modules {
            guard let layer = stored[module] else { continue }
            var floats: [String: StoredTensor] = [:]
            for tensor in layer.numbers {
                let name = tensor.fullName(in: module)
                if let values = tensors[name] {
                    floats[name] = StoredTensor(MatrixOperand(values), as: .float32, shape: tensor.tensor.shape)
                }
            }
            operators[module] = try layer.replacing(module: module, floats)
        }
    }

    private static func sum(_ a: Matrix, _ b: Matrix) -> Matrix {
        var result = a
        let target = result.mutableView(), source = b.view
        for index in 0..<result.count { target.base[index] += source.base[index] }
        return result
    }
}
