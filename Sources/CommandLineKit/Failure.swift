/// Why a run ended without doing its work: one message, one exit code.
///
/// A message says what, expected and found, and what to do. The file and the tensor are given apart, so that scripts
/// find them; `sentence` puts them in front.
public struct Failure: Error, Sendable, Equatable {
    public var code: ExitCode
    public var message: String
    public var file: String?
    public var tensor: String?

    public init(_ code: ExitCode, _ message: String, file: String? = nil, tensor: String? = nil) {
        self.code = code
        self.message = message
        self.file = file
        self.tensor = tensor
    }

    /// The whole message. A file or tensor that the message already names is not named twice.
    public var sentence: String {
        var sentence = message
        if let tensor, !message.contains(tensor) { sentence = "tensor \(tensor): " + sentence }
        if let file, !isNamed(file) { sentence = "\(file): " + sentence }
        return sentence
    }

    /// A folder may be called `model`, which many messages speak of: without a slash only certain places are its.
    private func isNamed(_ file: String) -> Bool {
        if file.contains("/") { return message.contains(file) }
        return ["\(file):", "\(file) ", "the output \(file) "].contains(where: message.hasPrefix)
    }

    /// `{"error":{…}}`, the form printed on standard output with `--json`.
    public var json: String {
        let fields = [
            #""code":\#(code.rawValue)"#, #""kind":\#(JSONText.quoted(code.kind))"#,
            #""message":\#(JSONText.quoted(sentence))"#,
            #""file":\#(file.map(JSONText.quoted) ?? "null")"#,
            #""tensor":\#(tensor.map(JSONText.quoted) ?? "null")"#,
        ]
        return #"{"error":{"# + fields.joined(separator: ",") + "}}"
    }
}

/// An error of any floor that knows how the program should end because of it.
public protocol FailureConvertible: Error {
    var failure: Failure { get }
}
