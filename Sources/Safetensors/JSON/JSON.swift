/// A JSON value, as read from headers, configurations, shard indexes, tokenizers, plans and reports.
///
/// Foundation's parser is not used because it accepts an object with the same key twice and turns integers beyond 2^53
/// into doubles; both hide a malformed checkpoint. Here a number keeps its exact text, an object keeps the order of its
/// keys, and what is written is a function of the value alone, so the same input gives the same bytes.
///
/// ```swift
/// var config = try JSON.parse(file: "config.json")
/// let hiddenSize = config["hidden_size"]?.int
/// config["low_rank_format_version"] = 1
/// let text = config.text(pretty: true)
/// ```
///
/// Strings and keys are compared by their UTF-8 bytes (see `UTF8Key`).
public enum JSON: Sendable {
    case null
    case bool(Bool)
    case number(JSONNumber)
    case string(String)
    case array([JSON])
    case object(JSONObject)
}

// MARK: - Reading

extension JSON {
    public var isNull: Bool {
        if case .null = self { true } else { false }
    }

    public var bool: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    public var string: String? {
        if case .string(let value) = self { value } else { nil }
    }

    public var number: JSONNumber? {
        if case .number(let value) = self { value } else { nil }
    }

    /// The value of a number written as an integer that fits `Int`; nil for `1.0`, `1e3` and anything larger.
    public var int: Int? { number?.int }

    /// The nearest double of a number; nil where it would be infinite.
    public var double: Double? { number?.double }

    public var array: [JSON]? {
        if case .array(let value) = self { value } else { nil }
    }

    public var object: JSONObject? {
        if case .object(let value) = self { value } else { nil }
    }

    /// The member of an object; nil where there is none or the value is not an object.
    ///
    /// Setting a member of a value that is not an object makes it an object; setting nil removes the member.
    public subscript(key: String) -> JSON? {
        get { object?[key] }
        set {
            var members = object ?? JSONObject()
            self = .null  // Leaves `members` the only reference, so that it is changed in place.
            members[key] = newValue
            self = .object(members)
        }
    }

    /// The element of an array; nil where there is none or the value is not an array.
    public subscript(index: Int) -> JSON? {
        guard let elements = array, elements.indices.contains(index) else { return nil }
        return elements[index]
    }
}

// MARK: - Making

extension JSON {
    public init(_ value: Int) { self = .number(JSONNumber(value)) }

    /// A number with the shortest text that reads back as the same double; `null` for NaN and infinities, which JSON
    /// cannot say.
    public init(_ value: Double) {
        self = JSONNumber(value).map(JSON.number) ?? .null
    }

    public init(_ value: String) { self = .string(value) }
    public init(_ value: Bool) { self = .bool(value) }
    public init(_ values: [Int]) { self = .array(values.map { JSON($0) }) }
    public init(_ values: [String]) { self = .array(values.map { JSON($0) }) }
}

extension JSON: ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByStringLiteral, ExpressibleByStringInterpolation, ExpressibleByArrayLiteral,
    ExpressibleByDictionaryLiteral
{
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(integerLiteral value: Int) { self = .number(JSONNumber(value)) }
    public init(floatLiteral value: Double) { self = JSONNumber(value).map(JSON.number) ?? .null }
    public init(stringLiteral value: String) { self = .string(value) }
    public init(arrayLiteral elements: JSON...) { self = .array(elements) }

    /// The last value counts where a key is given twice.
    public init(dictionaryLiteral elements: (String, JSON)...) {
        self = .object(JSONObject(elements.map { (key: $0.0, value: $0.1) }))
    }
}

// MARK: - Comparing

extension JSON: Equatable {
    /// Equal values: numbers by their text, strings by their bytes, objects without regard to the order of keys.
    public static func == (left: JSON, right: JSON) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let a), .bool(let b)): a == b
        case (.number(let a), .number(let b)): a == b
        case (.string(let a), .string(let b)): a.utf8.elementsEqual(b.utf8)
        case (.array(let a), .array(let b)): a == b
        case (.object(let a), .object(let b)): a == b
        default: false
        }
    }
}
