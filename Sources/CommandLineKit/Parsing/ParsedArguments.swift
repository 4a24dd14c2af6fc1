/// The values of one command line, already checked; read them with the declarations of the command.
public struct ParsedArguments: Sendable {
    /// Typed values in the order given; the key is an option's spelling or an argument's name.
    private var values: [String: [any Sendable]] = [:]
    /// The options given, in the order given, with the words as typed.
    private var words: [(option: String, text: String?)] = []
    /// Everything the command and the program declare; asking for anything else is a mistake of the program.
    private let declared: Set<String>

    init(declared: [String]) { self.declared = Set(declared) }

    /// - Parameter text: nil for a flag.
    mutating func add(_ value: any Sendable, text: String?, for option: OptionSpecification) {
        values[option.spelling, default: []].append(value)
        words.append((option.name, text))
    }

    mutating func add(_ value: any Sendable, for argument: ArgumentSpecification) {
        values[argument.name, default: []].append(value)
    }

    func isGiven(_ option: OptionSpecification) -> Bool { values[option.spelling] != nil }

    /// Whether the option stands in the command line, default or not.
    public func isGiven(_ option: any OptionDeclaration) -> Bool { isGiven(option.specification) }

    /// The options given, sorted by name, each with its words in the order given; flags have none.
    public var optionWords: [(option: String, words: [String])] {
        Dictionary(grouping: words, by: \.option)
            .map { name, entries in (name, entries.compactMap(\.text)) }
            .sorted { $0.option < $1.option }
    }

    public subscript(_ flag: Flag) -> Bool { !all(flag.specification.spelling, as: Bool.self).isEmpty }

    public subscript<Value>(_ option: Option<Value>) -> Value? {
        all(option.specification.spelling, as: Value.self).first
    }

    public subscript<Value>(_ setting: Setting<Value>) -> Value {
        all(setting.specification.spelling, as: Value.self).first ?? setting.defaultValue
    }

    public subscript<Value>(_ list: OptionList<Value>) -> [Value] {
        all(list.specification.spelling, as: Value.self)
    }

    public subscript<Value>(_ option: RequiredOption<Value>) -> Value {
        one(option.specification.spelling, as: Value.self)
    }

    public subscript<Value>(_ argument: Argument<Value>) -> Value {
        one(argument.specification.name, as: Value.self)
    }

    public subscript<Value>(_ argument: OptionalArgument<Value>) -> Value? {
        all(argument.specification.name, as: Value.self).first
    }

    public subscript<Value>(_ arguments: ArgumentList<Value>) -> [Value] {
        all(arguments.specification.name, as: Value.self)
    }

    private func one<Value>(_ key: String, as type: Value.Type) -> Value {
        guard let value = all(key, as: type).first else { preconditionFailure("\(key) was not parsed") }
        return value
    }

    private func all<Value>(_ key: String, as type: Value.Type) -> [Value] {
        precondition(declared.contains(key), "\(key) is not declared by this command")
        return (values[key] ?? []).map { value in
            guard let value = value as? Value else { preconditionFailure("\(key) is declared twice") }
            return value
        }
    }
}
