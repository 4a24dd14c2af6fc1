import MatrixCore
import Safetensors

/// Where an operator is read from: the tensors of a checkpoint, and the module's entry in config.json.
public struct OperatorSource {
    public let module: String
    public let entry: JSON
    private let find: (String) throws(OperatorError) -> StoredTensor?

    /// - Parameter find: the tensor of a full name; nil where the checkpoint has none.
    public init(module: String, entry: JSON, find: @escaping (String) throws(OperatorError) -> StoredTensor?) {
        self.module = module
        self.entry = entry
        self.find = find
    }

    /// The same module and tensors with another entry: for an operator that is a part of another.
    public func with(entry: JSON) -> OperatorSource {
        OperatorSource(module: module, entry: entry, find: find)
    }

    /// The tensor `<module>.<name>`, or `<name>` where it is shared.
    public func tensor(
        _ name: String, scope: OperatorTensor.Scope = .module
    ) throws(OperatorError) -> StoredTensor {
        let fullName = scope == .module ? "\(module).\(name)" : name
        guard let tensor = try find(fullName) else { throw .missingTensor(fullName) }
        return tensor
    }

    /// A tensor of numbers with the axes given; nil stands for any length.
    public func numbers(
        _ name: String, shape: [Int?], scope: OperatorTensor.Scope = .module
    ) throws(OperatorError) -> StoredTensor {
        let fullName = scope == .module ? "\(module).\(name)" : name
        let tensor = try tensor(name, scope: scope)
        guard tensor.dtype.elementType != nil else {
            throw .wrongType(fullName, expected: "F64, F32, F16 or BF16", found: tensor.dtype.rawValue)
        }
        guard tensor.shape.count == shape.count, zip(tensor.shape, shape).allSatisfy({ $1 == nil || $0 == $1 }) else {
            throw .wrongShape(fullName, expected: Self.text(shape), found: tensor.shape)
        }
        return tensor
    }

    /// A positive whole number of the entry.
    public func integer(_ key: String) throws(OperatorError) -> Int {
        guard let value = entry[key]?.int, value > 0 else {
            throw .badEntry(module: module, key: key, expected: "a positive whole number")
        }
        return value
    }

    /// A list of positive whole numbers of the entry.
    public func integers(_ key: String) throws(OperatorError) -> [Int] {
        let values = entry[key]?.array?.compactMap(\.int) ?? []
        guard let stated = entry[key]?.array, values.count == stated.count, !values.isEmpty,
            values.allSatisfy({ $0 > 0 })
        else {
            throw .badEntry(module: module, key: key, expected: "a list of positive whole numbers")
        }
        return values
    }

    /// Ascending positions below a limit, stored as I32.
    public func ascendingPositions(
        _ name: String, count: Int, below limit: Int, scope: OperatorTensor.Scope = .module
    ) throws(OperatorError) -> [Int32] {
        let fullName = scope == .module ? "\(module).\(name)" : name
        let tensor = try tensor(name, scope: scope)
        guard tensor.dtype == .i32 else {
            throw .wrongType(fullName, expected: "I32", found: tensor.dtype.rawValue)
        }
        guard tensor.shape == [count] else {
            throw .wrongShape(fullName, expected: "[\(count)]", found: tensor.shape)
        }
        let positions = tensor.array(of: Int32.self)
        for (place, position) in positions.enumerated() {
            guard position >= 0, position < limit else {
                throw .badIndex(fullName, "position \(position) is not below \(limit)")
            }
            guard place == 0 || position > positions[place - 1] else {
                throw .badIndex(fullName, "position \(position) does not follow \(positions[place - 1])")
            }
        }
        return positions
    }

    /// One of some words of the entry.
    public func word(_ key: String) throws(OperatorError) -> String {
        guard let value = entry[key]?.string else { throw .badEntry(module: module, key: key, expected: "a word") }
        return value
    }

    private static func text(_ shape: [Int?]) -> String {
        "[" + shape.map { $0.map(String.init) ?? "any" }.joined(separator: ", ") + "]"
    }
}

/// What can be wrong with the stored form of an operator.
public enum OperatorError: Error, Equatable, Sendable {
    case missingTensor(String)
    case wrongType(String, expected: String, found: String)
    case wrongShape(String, expected: String, found: [Int])
    case badEntry(module: String, key: String, expected: String)
    case unknownSchema(module: String, schema: String, known: [String])
    /// Positions that are out of range, double or out of order.
    case badIndex(String, String)
    /// The checkpoint could not be read.
    case unreadable(String, reason: String)
}

extension OperatorError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .missingTensor(let name):
            "the tensor \(name) is missing"
        case .wrongType(let name, let expected, let found):
            "the tensor \(name) has type \(found); expected \(expected)"
        case .wrongShape(let name, let expected, let found):
            "the tensor \(name) has shape \(found); expected \(expected)"
        case .badEntry(let module, let key, let expected):
            "low_rank_modules says no usable \"\(key)\" for \(module); expected \(expected)"
        case .unknownSchema(let module, let schema, let known):
            "\(module) is stored as \"\(schema)\"; this program reads \(known.joined(separator: ", "))"
        case .badIndex(let name, let reason):
            "the positions in \(name) are not usable: \(reason)"
        case .unreadable(let name, let reason):
            "the tensor \(name) cannot be read: \(reason)"
        }
    }

    /// The tensor or module in question.
    public var subject: String {
        switch self {
        case .missingTensor(let name), .wrongType(let name, _, _), .wrongShape(let name, _, _), .badIndex(let name, _),
            .unreadable(let name, _):
            name
        case .badEntry(let module, _, _), .unknownSchema(let module, _, _):
            module
        }
    }
}
