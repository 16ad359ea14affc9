password='what the server printed for alice'
server=http://127.0.0.1:8000

# Sign in. The refresh token is in the cookie jar; a thief copies it.
curl -sc jar $server/auth/login -H 'Content-Type: application/json' -d '{"username": "alice", "password": "'$password'"}'
cp jar stolen

# Refresh, and use the new access token: 200.
access=$(curl -sb jar -c jar -X POST $server/auth/refresh -H 'X-Keyturn: 1' | grep -o 'eyJ[^"]*')
curl -sw ' %{http_code}\n' $server/auth/me -H "Authorization: Bearer $access"

# After the race window, the thief replays the old refresh token: 401.
sleep 2
curl -sw ' %{http_code}\n' -b stolen -X POST $server/auth/refresh -H 'X-Keyturn: 1'

# The session is gone at once, also for the new tokens: 401, 401.
curl -sw ' %{http_code}\n' $server/auth/me -H "Authorization: Bearer $access"
curl -sw ' %{http_code}\n' -b jar -X POST $server/auth/refresh -H 'X-Keyturn: 1'
